"""What a run will cost, as two tables with their formulas: memory per stage, tokens and hours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flows.doctor.machine import ASSUMED_GPU, Plan, gigabytes
from flows.doctor.student import amount
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
