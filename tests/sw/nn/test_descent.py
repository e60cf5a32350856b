"""The training loop: against a loop by hand, by parts, at a bad loss; and that there is no second one."""

import ast
import math
from pathlib import Path

import pytest
import torch

from sw.io.errors import InputError
from sw.nn.descent import descend

ROOT = Path(__file__).resolve().parents[3]


def problem(factor=1.0):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    groups = [{"params": [model.weight]}, {"params": [model.bias], "factor": factor}]
    return model, torch.optim.Adam(groups, lr=9.0), torch.randn(6, 8, 3)


def rate(step):
    return 0.1 / (1 + step)


def test_it_is_the_loop_by_hand():
    model, optimiser, x = problem(factor=0.5)
    losses, norms = [], []
    for step in range(2, 6):
        for group, factor in zip(optimiser.param_groups, (1, 0.5)):
            group["lr"] = rate(step) * factor
        loss = model(x[step]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05))
        optimiser.step()
        losses.append(loss.detach())

    other, optimiser, x = problem(factor=0.5)

    def objective(step, batch):
        assert torch.equal(batch, x[step])
        yield other(batch).square().mean()
    steps = list(descend(optimiser, x[2:], objective, rate=rate, clip=0.05, first=2))
    assert [step.number for step in steps] == [2, 3, 4, 5]
    assert [step.loss for step in steps] == losses and [step.norm for step in steps] == norms
    assert not steps[0].loss.requires_grad and norms[0] > 0.05
    assert torch.equal(other.weight, model.weight) and torch.equal(other.bias, model.bias)


def test_parts_are_one_loss():
    """Every part is differentiated before the next one is computed."""
    model, optimiser, x = problem()
    whole, = descend(optimiser, [x[0]], lambda step, x: [model(x).square().sum()], rate=rate)
    seen = []

    def objective(step, batch):
        for row in batch:
            seen.append(None if other.weight.grad is None else other.weight.grad.clone())
            yield other(row).square().sum()
    other, optimiser, x = problem()
    parts, = descend(optimiser, [x[0]], objective, rate=rate)
    assert parts.loss.item() == pytest.approx(whole.loss.item(), rel=1e-6) and parts.norm is None
    assert seen[0] is None and all(grad is not None for grad in seen[1:])
    torch.testing.assert_close(other.weight, model.weight)


def test_who_runs_it_stops_it_between_two_steps():
    model, optimiser, x = problem()
    for taken in descend(optimiser, x, lambda step, x: [model(x).sum()], rate=rate):
        kept = model.weight.clone()
        if taken.number == 1:
            break
    assert torch.equal(model.weight, kept)
    assert next(iter(optimiser.state.values()))["step"] == 2


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_leaves_the_weights(value):
    model, optimiser, x = problem()

    def objective(step, x):
        yield model(x).sum() * (value if step == 1 else 1)
    steps = descend(optimiser, x, objective, rate=rate)
    next(steps)
    kept = model.weight.clone()
    with pytest.raises(InputError, match="the loss of step 1 is -?(nan|inf), must be finite"):
        next(steps)
    assert torch.equal(model.weight, kept)
    assert len(list(descend(optimiser, x, objective, rate=rate, finite=False))) == 6


def test_there_is_no_other_loop():
    """A call of ``backward`` is where a loop begins."""
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sw").rglob("*.py")
             for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.Attribute) and node.attr == "backward"}
    assert found == {"sw/nn/descent.py"}
