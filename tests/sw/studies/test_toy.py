"""The toy experiment of Fig. 4: its optimiser against plain Adam, its errors against optima."""

import json
import math

import numpy as np
import pytest
import torch

from sw.nn.projections import make_projection
from sw.studies import toy


def target(n, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, n))).float()


def test_sizes_stop_at_the_vanilla_projection():
    assert toy.sizes("bh1", 16) == toy.sizes("shufflenet", 16) == [2, 4, 8, 16]
    assert toy.sizes("bh4", 16) == [2, 4] and toy.sizes("bh3", 16) == [2, 4]
    assert toy.sizes("acdc", 16) == toy.sizes("hadamard", 16) == [1, 2, 4, 8]


@pytest.mark.parametrize("block", [2, 4, 16])
def test_linear_spaces_reach_their_optimum(block):
    """ShuffleNet and BH1 are linear spaces: what is left is known in closed form."""
    n = 16
    matrix = target(n)
    hadamard = np.array([[(-1) ** (i & j).bit_count() for j in range(n)] for i in range(n)])
    kept = np.kron(np.eye(n // block), np.ones((block, block))) > 0
    # Undo the shuffle, or the orthogonal H / sqrt(n): what the blocks cannot hold is the error.
    shuffle = [i * (n // block) + g for g in range(n // block) for i in range(block)]
    turned = {"shufflenet": matrix.numpy()[shuffle],
              "bh1": hadamard @ matrix.numpy() / math.sqrt(n)}
    for name, value in turned.items():
        best = (value[~kept] ** 2).sum() / (value**2).sum()
        errors = toy.approximate(name, block, matrix, 250)
        assert min(errors) == pytest.approx(best, abs=1e-4)
        assert best == pytest.approx(1 - block / n, abs=0.1)


@pytest.mark.parametrize("name, size", [("acdc", 2), ("bh4", 2), ("shufflenet", 4)])
def test_each_copy_learns_at_its_own_rate(name, size):
    """As plain Adam would, one copy at a time."""
    matrix, steps = target(8), 20
    torch.manual_seed(3)
    together = toy.approximate(name, size, matrix, steps)
    for c, rate in enumerate(toy.RATES):
        torch.manual_seed(3)
        start, = make_projection(name, 8, 8 * len(toy.RATES), size).parameters()
        one = make_projection(name, 8, 8, size)
        parameter, = one.parameters()
        parameter.data = start.detach()[c:c + 1].clone()
        top = rate * start.detach().square().mean().sqrt().item()
        optimiser = torch.optim.Adam([parameter], lr=top)
        for step in range(steps):
            share = 0.5 if step == 0 else (1 + math.cos(math.pi * step / steps)) / 2
            optimiser.param_groups[0]["lr"] = top * share
            optimiser.zero_grad()
            (one.matrix() - matrix).square().sum().backward()
            optimiser.step()
        error = ((one.matrix() - matrix).square().sum() / matrix.square().sum()).item()
        assert together[c] == pytest.approx(error, rel=1e-3)


def test_bh4_beats_bh1_of_as_many_parameters():
    matrix = target(32)
    torch.manual_seed(0)
    bh4, bh1 = toy.approximate("bh4", 4, matrix, 150), toy.approximate("bh1", 16, matrix, 150)
    assert min(bh4) < min(bh1) - 0.1


def test_a_rate_that_diverges_leaves_the_others_alone(monkeypatch):
    monkeypatch.setattr(toy, "RATES", (1e30, 0.1))
    lost, kept = toy.approximate("bh4", 2, target(8), 60)
    assert lost == math.inf and kept < 0.8


def test_command(tmp_path, capsys):
    picture, report = tmp_path / "toy.png", tmp_path / "toy.json"
    assert toy.main(["--n", "8", "--steps", "3", "-o", str(picture),
                     "--report", str(report)]) == 0
    printed = capsys.readouterr().out
    assert "ShuffleNet" in printed and "BH4" in printed and str(picture) in printed
    assert picture.read_bytes()[:4] == b"\x89PNG"
    data = json.loads(report.read_text())
    assert data["vanilla_parameters"] == 64 and data["vanilla_flop"] == 128
    rows = {(row["projection"], row["size"]): row for row in data["rows"]}
    assert len(rows) == len(data["rows"]) == 3 + 3 + 3 + 3 + 2 + 1 + 1
    row = rows["bh2", 4]
    assert (row["parameters"], row["flop"]) == (64, 2 * (2 * 8 * 4 + 8 * 3))
    assert row["error"] == min(row["errors"]) and row["linear_space"] == 0
    first = capsys.readouterr
    assert toy.main(["--n", "8", "--steps", "3", "-o", str(picture)]) == 0
    assert first().out == printed                           # seeded


def test_smallest_and_diverged(tmp_path, monkeypatch, capsys):
    """n = 4 leaves BH3 and BH4 without a size; what diverged is null in the report."""
    monkeypatch.setattr(toy, "approximate", lambda *_: [0.5, math.inf, 0.9, 0.25, 1.0])
    report = tmp_path / "toy.json"
    assert toy.main(["--n", "4", "--steps", "1", "-o", str(tmp_path / "toy.png"),
                     "--report", str(report)]) == 0
    assert "diverged" in capsys.readouterr().out
    row = json.loads(report.read_text())["rows"][0]
    assert row["errors"] == [0.5, None, 0.9, 0.25, 1.0]
    assert (row["error"], row["rate"]) == (0.25, 0.3)


def test_refusals(tmp_path, capsys):
    for flags, message in ((["--n", "12"], "--n is 12, must be a power of two in 4..1024"),
                           (["--steps", "0"], "--steps is 0, must be at least 1"),
                           (["--threads", "0"], "--threads is 0, must be at least 1")):
        with pytest.raises(SystemExit) as stop:
            toy.main(flags)
        assert stop.value.code == 2 and message in capsys.readouterr().err
    assert toy.main(["-o", str(tmp_path / "none" / "toy.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
