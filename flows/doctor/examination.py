"""The order of all checks of `thinkless doctor`: cheap ones first, each missing thing said once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from flows.doctor import data, estimates, machine, network, software, student
from flows.doctor.finding import Finding, Findings
from flows.doctor.machine import Hardware
from flows.doctor.needs import hub_data, hub_models
from infra.processes.launcher import shards_the_model
from schemas.configs.pipeline import PipelineConfig
from schemas.mode import Mode
from thinkless_core.estimates.memory_formulas import ModelShape

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from thinkless_core.problems.problem_set import ProblemSet

HUB_BYTES_PER_ROW = 10_000
"""Assumed size of a downloaded row, and of its copy as Arrow; rows with reasoning traces are the large ones."""


def examine(config: PipelineConfig, findings: Findings) -> Iterator[str]:
    """Every line to be printed, as soon as it is known; what was found is put into `findings`."""

    def say(*found: Finding) -> Iterator[str]:
        for finding in findings.add(found):
            yield finding.line()

    yield from say(*software.software(config), *student.package(config), machine.store())
    # Before anything imports the Hub's client libraries: without a network they must not look for one.
    look = network.hub(config)
    yield from say(*look.findings)
    yield from say(*network.endpoints(config), *network.prefect_server())
    from flows.doctor.rehearsal import rehearse, rehearsed_modes
    from thinkless_core.estimates.model_shape import shape_of

    prepared: list[PreTrainedTokenizerBase] = []
    if student.can_be_read(config, unreached=look.unreached):
        yield from say(student.tokenizer(config, prepared=prepared))
    shape = shape_of(config.base.model)
    yield from say(*student.size(config, shape))
    hardware = machine.Hardware.here()
    if student.can_be_read(config, unreached=look.unreached):
        yield from say(student.abilities(config, shape, free_bytes=hardware.ram_bytes))
    made: list[ProblemSet] = []
    yield from say(*data.problems(config, unreached=look.unreached, unmade=software.lacking(config), made=made))
    asked: tuple[Mode, ...] = ()
    measured: list[str] = []
    if made and prepared and shape is not None:
        asked = rehearsed_modes(config, made[0].problems)
        measured = ["rl.max_new_tokens", "evaluate.max_new_tokens", *(f"teach.{mode}.max_tokens" for mode in asked)]
        yield from say(*rehearse(config, made[0].problems, tokenizer=prepared[0], context=shape.context or None))
    yield from say(*student.context(config, shape, measured=measured))
    yield from say(*data.recordings(config, unreached=look.unreached, leave_out=asked))
    yield from _sizes(config, shape, hardware, say)


def _sizes(
    config: PipelineConfig, shape: ModelShape | None, hardware: Hardware, say: Callable[..., Iterator[str]]
) -> Iterator[str]:
    """Whether GPUs, memory and disk suffice, and the tables of what will be needed."""
    from flows.doctor.first_texts import known_data, source_bytes
    from thinkless_core.estimates.data_sizes import Sizes, stage_data
    from thinkless_core.estimates.stage_memory import stage_memories
    from thinkless_core.estimates.work_estimate import stage_works

    known = known_data(config, problems=data.counts(config))
    works = [] if shape is None else list(stage_works(config, shape, problems=known.problems))
    plan = machine.plan_for(works, hardware)
    stages = (
        None
        if shape is None
        else list(stage_memories(config, shape, gpu_bytes=plan.gpu_bytes, shards=shards_the_model))
    )
    sizes = Sizes.of(config, known)
    of_data = list(stage_data(config, sizes, known.problems, generated={w.stage: w.likely_tokens for w in works}))
    yield from say(*machine.graphics(config, works, hardware), *machine.memory(config, stages, plan, hardware))
    yield from say(*machine.data_memory(of_data, stages, plan, hardware))
    yield from say(machine.disk(shape, of_data, _downloads(config, shape), rows_known=sizes.taught is not None))
    if shape is not None and stages is not None:
        yield ""
        yield from estimates.memory_table(stages, plan)
        yield ""
        yield from estimates.work_table(works, shape, plan)
    yield ""
    yield from estimates.data_table(of_data, sizes, source_bytes=source_bytes(config))


def _downloads(config: PipelineConfig, shape: ModelShape | None) -> int:
    """Bytes from the Hub: data sets of known numbers of rows, and models, each taken to be of the student's size."""
    rows = {data.id: data.source.most_problems() or 0 for _, data in hub_data(config)}
    models = {model.id for _, model in hub_models(config)}
    return sum(rows.values()) * HUB_BYTES_PER_ROW + 2 * (shape.parameters if shape else 0) * len(models)
