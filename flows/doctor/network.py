"""Checks of the network: the Hub, asked once for everything that needs it, and teachers' endpoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from flows.doctor.data import is_cached
from flows.doctor.finding import Finding, checked
from flows.doctor.needs import hub_data, hub_models, teachers
from flows.prefect.prefect_server import REMEDY, server_address, why_silent
from infra.endpoints.endpoint_check import check_endpoint
from infra.endpoints.hub_access import (
    check_model,
    give_up_early,
    hub_address,
    model_is_cached,
    stay_offline,
    why_unreachable,
)
from schemas.configs.pipeline import PipelineConfig


class HubLook(NamedTuple):
    """What the Hub gives."""

    findings: tuple[Finding, ...]
    unreached: frozenset[str]
    """Ids of models and data sets that neither the Hub nor a cache has; later checks leave them out."""


def hub(config: PipelineConfig) -> HubLook:
    """One look at the Hub, where a profile needs it at all; one finding for everything that is missing.

    If it does not answer, its client stays offline for the rest of this process.
    """
    needs: dict[str, list[str]] = defaultdict(list)
    cached: dict[str, Callable[[], bool]] = {}
    for place, model in hub_models(config):
        needs[f"model {model.id}"].append(place)
        cached[f"model {model.id}"] = partial(model_is_cached, model.id, revision=model.revision)
    for place, data in hub_data(config):
        needs[f"data set {data.id}"].append(place)
        cached[f"data set {data.id}"] = partial(is_cached, data)
    if not needs:
        return HubLook((), frozenset())
    reason = why_unreachable()
    if reason is None:
        give_up_early()
        checks = [
            checked(place, partial(check_model, model.id, revision=model.revision))
            for place, model in hub_models(config)
        ]
        refused = {model.id for (_, model), check in zip(hub_models(config), checks, strict=True) if not check.fine}
        return HubLook((Finding("Hub", True, f"{hub_address()} answers"), *checks), frozenset(refused))
    stay_offline()
    missing = [name for name in needs if not cached[name]()]
    if not missing:
        return HubLook(
            (Finding("Hub", True, f"out of reach, and all it would give is cached ({reason})"),), frozenset()
        )
    lines = [f"  {name} ({', '.join(needs[name])})" for name in missing]
    text = "\n".join(
        [
            f"{hub_address()} cannot be reached ({reason}), and this is not on this machine:",
            *lines,
            "go where there is a network, or give copies: base.model.path=FOLDER, problems.*.path=FILE, --data DIR",
        ]
    )
    return HubLook((Finding("Hub", False, text),), frozenset(name.rpartition(" ")[2] for name in missing))


def prefect_server() -> Iterator[Finding]:
    """The Prefect server, where one is configured."""
    server = server_address()
    if server is not None:
        silent = why_silent(server)
        fine = f"{server} answers"
        yield Finding("Prefect", silent is None, fine if silent is None else f"{server}: {silent}; {REMEDY}")


def endpoints(config: PipelineConfig) -> Iterator[Finding]:
    """Teachers behind an API; two at one address that is down are one finding."""
    for place, teacher in teachers(config):
        endpoint = teacher.endpoint()
        if endpoint is not None:
            yield checked(place, partial(check_endpoint, endpoint))
