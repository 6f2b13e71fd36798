"""A stage that comes to another key than the flow that asks for it is refused, and what differs is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infra.settings import Settings
from schemas.errors import ConfigError
from tasks.running.context import RunContext
from tasks.running.same_code import refuse_another_key, save_asked_plan
from tests.unit.tasks.running.test_rebuild_reason import plan


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    return RunContext(run_id="run-1", profile="tiny", settings=Settings(home=tmp_path))


def test_the_key_that_was_asked_for_and_a_stage_that_nobody_named_are_taken(context: RunContext) -> None:
    refuse_another_key(context, plan(), {"sft": plan().key})
    refuse_another_key(context, plan(), {"rl": "another"})


def test_code_that_differs_is_named_by_its_file(context: RunContext) -> None:
    asked = plan()
    save_asked_plan(context, asked)
    module = next(name for name in asked.sources if name.startswith("thinkless_core."))
    other = replace(asked, key="0" * 20, sources={**asked.sources, module: "other"}, fingerprint="other")
    with pytest.raises(
        ConfigError, match=rf"comes to key 00000000, .* to {asked.key[:8]}: {module.replace('.', '/')}\.py"
    ):
        refuse_another_key(context, other, {"sft": asked.key})


def test_where_the_other_plan_is_not_here_the_keys_are_said(context: RunContext) -> None:
    with pytest.raises(ConfigError, match="to abcdefab: what differs is not known here; expected the same code"):
        refuse_another_key(context, plan(), {"sft": "abcdefabcdef"})
