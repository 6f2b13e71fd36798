"""What a Prefect server is given: forms that refuse mistakes before a process starts, a schedule, an automation."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from schemas.errors import ConfigError

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
MISTAKES = [
    ({"until": "rll"}, r"'until'.* 'rll' is not one of \['base'"),
    ({"refresh": ["evaluation"]}, r"'refresh\[0\]'.* 'evaluation' is not one of"),
    ({"profile": "tny"}, r"'profile'.* 'tny' is not one of \[.*'tiny', 'FILE\.toml'\]"),
    ({"profile": 3}, "'profile'.* 3 is not one of"),
    ({"objective": "hgpoo"}, r"'objective'.* 'hgpoo' is not one of \[.*'hgpo', .*'FILE\.py:Class', None\]"),
    ({"limit": 0}, "'limit'.* 0 is less than the minimum of 1"),
    ({"limit": "ten"}, "'limit'.* 'ten' is not of type 'integer', 'null'"),
    ({"data": 2024}, "'data'.* 2024 is not of type 'string', 'null'"),
    ({"overrides": ["rl.gamma"]}, r"'overrides\[0\]'.* 'rl.gamma' is not one of \['KEY=VALUE'\]"),
]


@pytest.fixture(scope="module")
def deployment(runs: ModuleType) -> Any:
    """The id of a deployment of the flow, which no worker runs."""
    return runs.thinkless.to_deployment("form", tags=["thinkless"]).apply()


@pytest.mark.parametrize("flow", ["thinkless", "thinkless_study"])
def test_the_form_of_a_deployment_explains_every_parameter(flow: str, runs: ModuleType) -> None:
    parameters = getattr(runs, flow).parameters.model_dump()["properties"]
    assert all(parameter.get("description") for parameter in parameters.values()), parameters


def test_the_form_offers_stages_profiles_and_objectives(runs: ModuleType) -> None:
    parameters = runs.thinkless.parameters.model_dump()["properties"]
    offered = {
        name: [c for part in (form, *form.get("anyOf", ()), form.get("items", {})) for c in part.get("enum", ())]
        for name, form in parameters.items()
    }
    assert "rl" in offered["until"]
    assert "evaluate" in offered["refresh"]
    assert {"tiny", "smollm2"} <= set(offered["profile"])
    assert {"degrpo-paper", "hgpo"} <= set(offered["objective"])
    assert "rl.gamma=0.3" in parameters["overrides"]["description"]


@pytest.mark.parametrize(("given", "said"), MISTAKES, ids=lambda value: str(value)[:30])
def test_the_server_refuses_a_mistake_in_one_line_and_no_run_begins(
    given: dict[str, object], said: str, deployment: Any, runs: ModuleType
) -> None:
    before = runs.num_flow_runs()
    refusal = runs.refusal(deployment, given)
    assert re.search(said, refusal), refusal
    assert "\n" not in refusal
    assert runs.num_flow_runs() == before


@pytest.mark.parametrize(
    "given",
    [
        {"profile": "mine.toml", "objective": "mine.py:Objective", "limit": 3, "data": "copies"},
        {"profile": "smollm2", "objective": "hgpo", "overrides": ["rl.gamma = 0.3"], "refresh": ["rl"], "until": "rl"},
    ],
)
def test_what_can_be_right_is_taken(given: dict[str, object], deployment: Any, runs: ModuleType) -> None:
    assert runs.refusal(deployment, given) == ""


def test_a_wrong_key_is_one_line_in_the_state_of_the_run(
    runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"did you mean 'rl\.gamma'"):
        runs.thinkless(objective="hgpo", overrides=["rl.gama=0.3"])
    run = runs.newest_run().flow_run
    assert run.name == "tiny, objective hgpo, rl.gama=0.3"
    assert run.state_name == "Failed"
    assert "unknown key 'rl.gama' (got value 0.3); did you mean 'rl.gamma'?" in run.state.message
    assert "\n" not in run.state.message


def test_of_the_lines_that_prefect_logs_about_a_wrong_key_none_has_a_traceback(
    runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = Logged()
    logger = logging.getLogger("prefect.flow_runs")  # what a worker's process gives the engine
    logger.addHandler(logged)
    monkeypatch.setenv("THINKLESS_HOME", str(tmp_path))
    try:
        with pytest.raises(ConfigError):
            runs.run_as_a_worker(overrides=["rl.gama=0.3"])
        logger.error("something unforeseen", exc_info=ValueError())
    finally:
        logger.removeHandler(logged)
    assert [line for line in logged.lines if "did you mean 'rl.gamma'" in line] == [
        "Finished in state Failed(\"configuration of profile 'tiny' cannot be used: - unknown key 'rl.gama' "
        "(got value 0.3); did you mean 'rl.gamma'?\")"
    ]
    assert [line for line in logged.lines if "Traceback" in line or "ValueError" in line] == logged.lines[-1:]


class Logged(logging.Handler):
    """Keeps what is logged, as a log shows it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def test_the_example_automations_are_prefects_and_off(runs: ModuleType) -> None:
    examples = yaml.safe_load((ROOT / "flows" / "prefect" / "automations.yaml").read_text(encoding="utf-8"))
    created = [runs.created_automation(example) for example in examples["automations"]]
    assert [automation.enabled for automation in created] == [False, False]
    assert [automation.trigger.expect for automation in created] == [
        {"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
        {runs.COLLAPSE},
    ]
    assert {action.type for automation in created for action in automation.actions} == {"send-notification"}


def test_schedule_and_limit_of_prefect_yaml_are_off_and_the_limit_can_be_switched_on(runs: ModuleType) -> None:
    from prefect.client.schemas.objects import ConcurrencyLimitConfig

    text = (ROOT / "prefect.yaml").read_text(encoding="utf-8")
    deployments = {one["name"]: one for one in yaml.safe_load(text)["deployments"]}
    assert [schedule["active"] for schedule in deployments["full"]["schedules"]] == [False]
    assert not any(one.get("schedules") for name, one in deployments.items() if name != "full")
    assert not any(one.get("concurrency_limit") for one in deployments.values())
    (example,) = [line.split("`")[1] for line in text.splitlines() if "`concurrency_limit:" in line]
    assert ConcurrencyLimitConfig(**yaml.safe_load(example)["concurrency_limit"]).limit == 1
