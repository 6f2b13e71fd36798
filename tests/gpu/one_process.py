"""The process of part `processes`: `python -m tests.gpu.one_process JOB.json`, a group of one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from schemas.configs.sft import SftConfig
from tests.gpu.card import synchronized
from tests.gpu.prepared import read_prepared
from thinkless_core.progress import no_progress
from thinkless_core.student.model_files import load_student, load_student_tokenizer
from thinkless_core.training.processes import gather
from thinkless_core.training.sft_trainer import train_sft
from thinkless_core.training.tokenised_pairs import TokenisedPairs

ELEMENTS = 1 << 24
TRIES = 5
STEPS = 2


def main() -> None:
    """Do the job and write its result."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    device = torch.device(job["device"])
    torch.set_float32_matmul_precision("highest")
    plain = _trained(job, sharded=False)
    started = synchronized(device)
    store = Path(job["scratch"]) / "store"
    store.parent.mkdir(parents=True, exist_ok=True)
    dist.init_process_group(job["backend"], init_method=f"file://{store}", rank=0, world_size=1)
    found: dict[str, Any] = {"backend": job["backend"], "start_seconds": synchronized(device) - started}
    found |= _reduced(device)
    box = [{"verdict": 1.5}]
    dist.broadcast_object_list(box, src=0, device=device)
    every: list[Any] = [None]
    dist.all_gather_object(every, box[0])
    assert every == [{"verdict": 1.5}], every
    assert gather(box[0], accelerator=None) == box
    sharded = _trained(job, sharded=True)
    gaps = [float((a - b).abs().max()) for a, b in zip(plain["weights"], sharded["weights"], strict=True)]
    found |= {
        "losses_plain": plain["losses"],
        "losses_sharded": sharded["losses"],
        "largest_weight_gap": max(gaps),
    }
    Path(job["result"]).write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()


def _reduced(device: torch.device) -> dict[str, float]:
    given = torch.arange(ELEMENTS, dtype=torch.float32, device=device)
    summed = given.clone()
    dist.all_reduce(summed)
    started = synchronized(device)
    for _ in range(TRIES):
        dist.all_reduce(summed)
    seconds = (synchronized(device) - started) / TRIES
    assert torch.equal(given, summed), "the sum over one process is not what it gave"
    return {"reduced_mb": 4 * ELEMENTS / 1e6, "reduce_seconds": seconds}


def _trained(job: dict[str, Any], *, sharded: bool) -> dict[str, Any]:
    """Losses of a few steps and the weights afterwards, on the CPU."""
    prepared = read_prepared(Path(job["folder"]))
    settings = prepared.settings["sft"] | {
        "steps": STEPS, "pairs_per_step": job["pairs"], "precision": "float32", "launch": None, "lora": None,
        "checkpoint_every": 10**9, "validate_every": 10**9,
    }  # fmt: skip
    train = [pair for pair in prepared.pairs if pair.split == "train"][: STEPS * job["pairs"]]
    model, tokenizer = load_student(Path(job["base"])), load_student_tokenizer(Path(job["base"]))
    log = train_sft(
        model,
        tokenizer=tokenizer,
        pairs=TokenisedPairs.of(train, tokenizer=tokenizer),
        config=SftConfig.model_validate(settings),
        scratch=Path(job["scratch"]) / ("sharded" if sharded else "plain"),
        progress=no_progress,
        sharded=sharded,
    )
    losses = [metric.value for metric in log if metric.name == "loss"]
    return {"losses": losses, "weights": [p.detach().cpu() for p in model.parameters()]}


if __name__ == "__main__":
    main()
