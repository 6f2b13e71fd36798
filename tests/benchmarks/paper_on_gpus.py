"""What the `paper` profile costs on 1, 4, 8 and 64 GPUs: `python -m tests.benchmarks.paper_on_gpus` prints the table of
docs/scaling.md.

doctor's operations per stage + measured time per row of the CPU's work + makers' bandwidths -> hours per stage
Nothing is run: what is measured and what is assumed stands beside the table in docs/scaling.md.
"""

from __future__ import annotations

from typing import NamedTuple

from flows.doctor.data import counts
from schemas.configs.loading import load_config
from thinkless_core.estimates.memory_formulas import ModelShape
from thinkless_core.estimates.model_shape import shape_of
from thinkless_core.estimates.work_estimate import Machine, StageWork, stage_works

GPUS = (1, 4, 8, 64)
PER_MACHINE = 8
MEASURED_MS = {"problems": 0.25, "teach think (replayed)": 3.4, "pairs": 1.5, "sft: tokenising": 14.6}
"""Processor time of a further row with a trace of 18 kB, two AVX2 cores (docs/benchmarks.md)."""
BANDWIDTH = {"memory": 3.35e12, "inside a machine": 450e9, "between machines": 50e9}
"""Bytes per second of an H100, and of its links in one direction, as makers say: HBM3, NVLink 4, 400 Gb/s a GPU."""


class Row(NamedTuple):
    """Hours of one stage, or of a part of one."""

    stage: str
    hours: tuple[float, ...]
    """For each number of GPUs."""
    limit: str
    """What more GPUs do not help with."""


def rows() -> list[Row]:
    """All stages of the profile, in their order."""
    config = load_config("paper", overrides=())
    shape = shape_of(config.base.model)
    assert shape is not None
    problems = counts(config)
    num_rows = problems["source"]
    assert num_rows is not None
    works = {work.stage: work for work in stage_works(config, shape, problems=problems)}
    machine = Machine.gpu("H100")
    cpu = {name: num_rows * ms / 3.6e6 for name, ms in MEASURED_MS.items()}
    learning = works["rl"].training_operations / machine.training_flops / 3600
    longest = config.rl.steps * config.rl.max_new_tokens / (BANDWIDTH["memory"] / (2 * shape.parameters)) / 3600
    return [
        Row("problems", _same(cpu["problems"]), "one process"),
        Row("teach think (replayed)", _same(cpu["teach think (replayed)"]), "one machine; workers"),
        Row("teach short", _on_one_machine(works["teach short"], machine), "one machine"),
        Row("pairs", _same(cpu["pairs"]), "one process"),
        Row("sft: tokenising", _same(cpu["sft: tokenising"]), "one machine, measured with two cores"),
        Row("sft: computing", tuple((works["sft"].device_hours(machine) or 0) / n for n in GPUS), ""),
        Row("sft: summing gradients", _sums(config.sft.steps, shape), "links"),
        Row("rl: sampling", tuple(max(_sampling(works["rl"], machine) / n, longest) for n in GPUS),
            f"the longest completion of a step: {longest:.1f} h"),
        Row("rl: learning", tuple(learning / n for n in GPUS), ""),
        Row("rl: summing gradients", _sums(config.rl.steps * config.rl.updates_per_step, shape), "links"),
        Row("evaluate", _on_one_machine(works["evaluate"], machine), "one machine"),
    ]  # fmt: skip


def _same(hours: float) -> tuple[float, ...]:
    return tuple(hours for _ in GPUS)


def _on_one_machine(work: StageWork, machine: Machine) -> tuple[float, ...]:
    return tuple((work.device_hours(machine) or 0) / min(n, PER_MACHINE) for n in GPUS)


def _sampling(work: StageWork, machine: Machine) -> float:
    return 2 * (work.parameters or 0) * work.likely_tokens / machine.sampling_flops / 3600


def _sums(steps: int, shape: ModelShape) -> tuple[float, ...]:
    """A ring: every GPU sends and receives 2 (n - 1) / n times the float32 gradients."""
    hours = []
    for n in GPUS:
        link = BANDWIDTH["inside a machine" if n <= PER_MACHINE else "between machines"]
        hours.append(steps * 2 * (n - 1) / n * 4 * shape.parameters / link / 3600)
    return tuple(hours)


def main() -> None:
    """Print the table."""
    print("| part | " + " | ".join(f"{n} GPU{'s' if n > 1 else ''}" for n in GPUS) + " | more GPUs do not help |")
    print("|---|" + "---:|" * len(GPUS) + "---|")
    found = rows()
    for row in found:
        print(f"| {row.stage} | {' | '.join(f'{hours:.2f}' for hours in row.hours)} | {row.limit} |")
    totals = [sum(row.hours[i] for row in found) for i in range(len(GPUS))]
    print(f"| **hours together** | {' | '.join(f'**{hours:.1f}**' for hours in totals)} | |")
    print(f"| GPU-hours held | {' | '.join(f'{h * n:,.0f}' for h, n in zip(totals, GPUS, strict=True))} | |")


if __name__ == "__main__":
    main()
