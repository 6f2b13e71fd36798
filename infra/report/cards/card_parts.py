"""Parts of both cards: configuration without folders of this machine, licences of the sources.

manifests -> configuration of a stage -> YAML;  licences -> one for the front matter, and a table
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from pydantic import JsonValue

from infra.report.cards.card_format import fenced, table
from infra.report.data.inputs import ReportInputs, SourceLicence

UNKNOWN = "unknown"
"""Licence of what was made from a source whose licence is not known."""
SEVERAL = "other"
"""Licence of what was made from sources with different ones, as model hubs write it."""


def stage_config(inputs: ReportInputs, stage: str) -> Mapping[str, JsonValue]:
    """The configuration a stage was built with; empty if it was not."""
    manifest = inputs.manifest(stage)
    return {} if manifest is None else manifest.config


def config_block(title: str, config: Mapping[str, JsonValue]) -> str:
    """Configuration as YAML; folders of this machine are cut to the file's name."""
    if not config:
        return f"{title}: no manifest."
    import yaml

    text = yaml.safe_dump(_without_folders(dict(config)), sort_keys=False, allow_unicode=True).rstrip()
    return f"{title}:\n\n{fenced('yaml', text)}"


def licence_of(sources: Sequence[SourceLicence]) -> str:
    """The licence all sources share, as hubs spell it; `other` where they differ, `unknown` where one is not known."""
    licences = {source.licence for source in sources}
    if not licences or None in licences:
        return UNKNOWN
    shared = licences.pop() or UNKNOWN
    return SEVERAL if licences else shared.lower()


def licence_table(sources: Sequence[SourceLicence]) -> str:
    """Every source with its licence, and what that means for the reader."""
    if not sources:
        return "The licences of the sources are not known to the program that wrote this card."
    rows = [(s.part, s.name, s.licence or "not known to the program", s.note) for s in sources]
    note = (
        "As the sources' own pages or files state them; check them before you publish what was made from them. "
        "What a licence asks for (a notice, a name) holds for this as well."
    )
    return f"{table(('made from', 'source', 'licence', 'see'), rows)}\n\n{note}"


def _without_folders(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    if isinstance(value, str) and PurePath(value).is_absolute():
        return PurePath(value).name
    return value
