"""What a checkpoint holds: what is trained, by name, and nothing that could run code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from schemas.errors import CheckpointError
from tests.specimens import make_student, optimizer_config
from thinkless_core.training.checkpoints import load_checkpoint, save_checkpoint
from thinkless_core.training.optimization import build_optimizer


def half_trained(seed: int = 0) -> tuple[torch.nn.Module, torch.optim.AdamW]:
    """A student of which only the last layer is trained, after one step of its optimiser."""
    model = make_student(seed=seed).requires_grad_(requires_grad=False)
    model.model.layers[1].requires_grad_(requires_grad=True)
    optimizer = build_optimizer(model, optimizer_config())
    model(input_ids=torch.arange(8, 20)[None]).logits.sum().backward()
    optimizer.step()
    return model, optimizer


def test_only_trained_parameters_are_written_and_all_of_it_is_safetensors(tmp_path: Path) -> None:
    model, optimizer = half_trained()
    save_checkpoint(tmp_path, step=3, model=model, optimizer=optimizer)
    (folder,) = tmp_path.iterdir()
    assert sorted(p.name for p in folder.iterdir()) == ["model.safetensors", "optimizer.safetensors", "step.json"]
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert set(load_file(folder / "model.safetensors")) == trained
    state = load_file(folder / "optimizer.safetensors")
    assert set(state) == {f"{entry}/{name}" for entry in ("step", "exp_avg", "exp_avg_sq") for name in trained}


def test_the_rest_stays_as_the_model_has_it(tmp_path: Path) -> None:
    model, optimizer = half_trained()
    save_checkpoint(tmp_path, step=3, model=model, optimizer=optimizer)
    other, other_optimizer = half_trained(seed=1)
    before = {name: p.clone() for name, p in other.named_parameters()}
    assert load_checkpoint(tmp_path, model=other, optimizer=other_optimizer) == 3
    for (name, found), written in zip(other.named_parameters(), model.parameters(), strict=True):
        assert torch.equal(found, written if found.requires_grad else before[name])
    for found, written in zip(other_optimizer.state.values(), optimizer.state.values(), strict=True):
        assert all(torch.equal(found[entry], written[entry]) for entry in ("step", "exp_avg", "exp_avg_sq"))


def test_a_run_that_trains_other_parameters_is_told(tmp_path: Path) -> None:
    model, optimizer = half_trained()
    save_checkpoint(tmp_path, step=3, model=model, optimizer=optimizer)
    whole = make_student()
    with pytest.raises(CheckpointError, match="holds other parameters than the model trains"):
        load_checkpoint(tmp_path, model=whole, optimizer=build_optimizer(whole, optimizer_config()))


def test_a_process_that_does_not_write_leaves_no_file(tmp_path: Path) -> None:
    model, optimizer = half_trained()
    save_checkpoint(tmp_path, step=3, model=model, optimizer=optimizer, writes=False)
    assert list(tmp_path.iterdir()) == []
