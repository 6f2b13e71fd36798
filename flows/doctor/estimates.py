"""What a run will cost, as tables with their formulas: memory per stage, tokens and hours, what the data take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flows.doctor.machine import ASSUMED_GPU, Plan, gigabytes
from flows.doctor.student import amount
from thinkless_core.estimates.data_sizes import LETTERS, PACKED_SHORT, SHORT_TEXT, Sizes, StageData, most_disk
from thinkless_core.estimates.memory_formulas import ModelShape, StageMemory
from thinkless_core.estimates.stage_memory import PROMPT_TOKENS
from thinkless_core.estimates.work_estimate import MEAN_SHARE, OWN_SAMPLER_SLOWER, StageWork


def memory_table(stages: Sequence[StageMemory], plan: Plan) -> Iterator[str]:
    """Each stage's memory at its worst moment: a row per term, a column per stage, and the formula."""
    yield f"memory at the worst moment of a stage, per {'GPU: ' if plan.machine.is_gpu else 'process: '}{_device(plan)}"
    yield _memory_row("", [stage.stage for stage in stages], "formula")
    names = dict.fromkeys(term.name for stage in stages for term in stage.at_the_peak if term.num_bytes)
    for name in names:
        terms = [next((t for t in stage.at_the_peak if t.name == name), None) for stage in stages]
        formulas = dict.fromkeys(term.formula for term in terms if term is not None)
        yield _memory_row(name, [gigabytes(t.num_bytes) if t else "-" for t in terms], "; ".join(formulas))
    yield _memory_row("together", [gigabytes(stage.num_bytes) for stage in stages], "")
    yield "  P parameters, T trained ones, N processes, M tokens of a forward pass, h hidden size, L layers,"
    yield "  V vocabulary. Not counted: the CUDA context and fragmentation."


def work_table(works: Sequence[StageWork], shape: ModelShape, plan: Plan) -> Iterator[str]:
    """Tokens and hours of each stage, and what was assumed."""
    unit = "GPU-hours" if plan.machine.is_gpu else "hours"
    yield f"work on {'GPUs: ' if plan.machine.is_gpu else ''}{_device(plan)}"
    yield _work_row("", "tokens", "at most", unit, "")
    total = 0.0
    for work in works:
        hours = work.device_hours(plan.machine)
        total += hours or 0.0
        side_by_side = f"{_span(hours / work.devices)} on {work.devices} GPUs" if hours and work.devices > 1 else ""
        notes = "; ".join(note for note in (side_by_side, work.note) if note)
        sampled = (amount(work.likely_tokens), amount(work.most_tokens)) if work.most_tokens else ("-", "-")
        yield _work_row(work.stage, *sampled, "not known" if hours is None else _span(hours), notes)
    likely, most = sum(work.likely_tokens for work in works), sum(work.most_tokens for work in works)
    yield _work_row("together", amount(likely), amount(most), _span(total), "")
    yield from _assumptions(works, shape, plan)


def data_table(stages: Sequence[StageData], sizes: Sizes, *, source_bytes: int) -> Iterator[str]:
    """Memory and disk that rows and texts take in each stage, and what was assumed."""
    yield "data: what rows and texts take, beside models and programs"
    yield _data_row("", "memory", "disk", "stays", "formula")
    if source_bytes:
        yield _data_row("files", "-", "-", gigabytes(source_bytes), "there already")
    for stage in stages:
        memory = gigabytes(stage.memory) if stage.memory else "-"
        yield _data_row(stage.stage, memory, gigabytes(stage.working), gigabytes(stage.stays), stage.formula)
    memory = gigabytes(max((stage.memory for stage in stages), default=0))
    stays = gigabytes(sum(stage.stays for stage in stages))
    yield _data_row(
        "at the worst", memory, gigabytes(most_disk(stages)), stays, "a stage, with what those before it left"
    )
    yield from _of_data(sizes)


def _of_data(sizes: Sizes) -> Iterator[str]:
    number = (
        "not known: problems, teach, pairs and sft are not counted" if sizes.taught is None else f"{sizes.taught:,}"
    )
    told = {
        "p": f"a problem p = {_length(sizes.prompt)}",
        **{mode[0]: f"a {mode} answer {mode[0]} = {_length(size)}" for mode, size in sizes.answers.items()},
        "z": f"zstd leaves z = {sizes.packed:.2g}",
    }
    lengths = ", ".join(f"{text}{' (assumed)' if name in sizes.assumed else ''}" for name, text in told.items())
    yield f"  N warm-up problems: {number};"
    yield f"  {lengths}."
    yield "  A stage leaves z A in Parquet and c A in the catalog, and has A more on the disk while it runs;"
    yield f"  c = z, or {PACKED_SHORT:g} for texts under {SHORT_TEXT:,} bytes. A token has {LETTERS} bytes of text."
    yield "  Memory is some bytes of each row, and the texts that are worked on."


def _length(num_bytes: int) -> str:
    return f"{num_bytes} bytes" if num_bytes < 1000 else f"{num_bytes / 1000:.3g} kB"


def _data_row(stage: str, memory: str, disk: str, stays: str, formula: str) -> str:
    return f"  {stage:<14} {memory:>9} {disk:>9} {stays:>9}   {formula}".rstrip()


def _assumptions(works: Sequence[StageWork], shape: ModelShape, plan: Plan) -> Iterator[str]:
    machine = plan.machine
    rate = machine.sampling_flops / (2 * shape.parameters)
    own = machine.is_gpu and any(work.own_sampler and work.most_tokens for work in works)
    slower = f" ({OWN_SAMPLER_SLOWER} times fewer without vLLM)" if own else ""
    yield (
        f"  Assumed: completions of {MEAN_SHARE:g} of their limit, half of RL's in short mode, prompts of up to "
        f"{PROMPT_TOKENS} tokens;"
    )
    yield (
        f"  {'each GPU samples' if machine.is_gpu else 'all cores sample'} {amount(rate)} tokens/s{slower}; training "
        f"runs at {amount(machine.training_flops)} operations/s. An order of magnitude."
    )


def _memory_row(name: str, cells: Sequence[str], formula: str) -> str:
    return f"  {name:<14} {' '.join(f'{cell:>9}' for cell in cells)}   {formula}".rstrip()


def _work_row(name: str, likely: str, most: str, time: str, note: str) -> str:
    return f"  {name:<14} {likely:>9} {most:>9} {time:>10}   {note}".rstrip()


def _device(plan: Plan) -> str:
    if not plan.machine.is_gpu:
        return plan.machine.name
    return f"{ASSUMED_GPU}, assumed because none was found" if plan.gpus_missing else plan.machine.name


def _span(hours: float) -> str:
    if hours < 1 / 60:
        return f"{max(hours * 3600, 1):.0f} s"
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"
