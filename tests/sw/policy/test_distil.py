"""Distillation: its loss against loops, what it may touch, and that it brings models together."""

import copy

import pytest
import torch
from torch import nn

from sw.nn.attachment import attention_layers
from sw.nn.cta_heads import CTAHeads
from sw.policy.distil import DistilConfig, States, distil, loss_parts

TARGET = (0.4, 0.36, 0.06)


class Encoder(nn.Module):
    def __init__(self, layers=2, seed=0, **options):
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Linear(12, 16)
        self.layers = nn.ModuleList(CTAHeads(16, 2, l=4, seed=i, mode="exact", **options)
                                    for i in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(layers))
        self.dropout = nn.Dropout(0.5)


def run(model, x):
    x, hidden = model.embedding(x), []
    for layer, norm in zip(model.layers, model.norms):
        x = norm(x + 2 * model.dropout(layer(x)))
        hidden.append(x)
    return States(tuple(hidden), x.mean(dim=1))


def batches(seed=0, count=1000):
    g = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.randn(4, 40, 12, generator=g)


@pytest.fixture
def pair():
    teacher = Encoder()
    student = copy.deepcopy(teacher)
    for heads in attention_layers(student).values():
        heads.mode = "cta"
    return student, teacher


FRACTIONS = {"layers.0": TARGET, "layers.1": TARGET}


@pytest.mark.parametrize("masked", [False, True])
def test_loss_against_loops(masked):
    g = torch.Generator().manual_seed(0)
    hidden = [[torch.randn(2, 5, 3, generator=g, dtype=torch.float64) for _ in range(2)]
              for _ in range(2)]
    out = torch.randn(2, 2, 4, generator=g, dtype=torch.float64)
    valid = torch.ones(2, 5, dtype=torch.bool)
    if masked:
        valid[1, 3:] = False
        hidden[0][1][1, 3:] = float("nan")      # nobody may look there
    student, teacher = (States(tuple(h), o, valid if masked else None)
                        for h, o in zip(hidden, out))
    output, error = loss_parts(student, teacher)

    cosine = sum(float((a @ b) / (a.norm() * b.norm())) for a, b in zip(*out)) / 2
    assert output.item() == pytest.approx(1 - cosine, abs=1e-12)
    parts = []
    for x, y in zip(*hidden):
        where = [(i, j) for i in range(2) for j in range(5) if valid[i, j]]
        mean = sum(y[w] for w in where) / len(where)
        parts.append(sum(float((x[w] - y[w]) @ (x[w] - y[w])) for w in where)
                     / sum(float((y[w] - mean) @ (y[w] - mean)) for w in where))
    assert error.item() == pytest.approx(sum(parts) / 2, abs=1e-12)


def test_student_comes_nearer_at_the_same_compression(pair):
    student, teacher = pair
    before = copy.deepcopy(teacher.state_dict())
    seen = []
    cfg = DistilConfig(steps=40, rate=2e-3, warmup=5, recalibrate=10, frozen=())
    steps = distil(student, teacher, run, batches(), FRACTIONS, cfg, on_step=seen.append)
    assert seen == steps and [s.step for s in steps] == list(range(1, 41))

    def mean(part, name):
        return sum(getattr(s, name) for s in part) / len(part)
    assert mean(steps[-10:], "output") < 0.7 * mean(steps[:3], "output")
    assert mean(steps[-10:], "hidden") < 0.9 * mean(steps[:3], "hidden")
    for key, value in teacher.state_dict().items():
        assert torch.equal(value, before[key]), key
    # The compression was held, so it was not bought.
    student.eval()
    run(student, next(batches(seed=1)))
    for heads in student.layers:
        got = heads.counts.double().mean(dim=0) / 40
        assert got.tolist() == pytest.approx(TARGET, abs=0.08)


def test_frozen_parameters_and_modes_stay(pair):
    student, teacher = pair
    student.train()
    before = copy.deepcopy(dict(student.named_parameters()))
    distil(student, teacher, run, batches(), FRACTIONS,
           DistilConfig(steps=2, frozen=("embedding", "norms")))
    assert student.training and teacher.training
    for name, p in student.named_parameters():
        touched = not ("embedding" in name or "norms" in name or name.endswith(".a"))
        if not name.endswith("k.bias"):      # that cancels in the softmax, its gradient is noise
            assert torch.equal(p, before[name]) != touched, name
        assert p.grad is None
        assert p.requires_grad == before[name].requires_grad


def test_learned_directions_move():
    teacher = Encoder()
    student = Encoder(directions="learned")
    for heads in attention_layers(student).values():
        heads.mode = "cta"
    before = student.layers[0].a.detach().clone()
    distil(student, teacher, run, batches(), FRACTIONS, DistilConfig(steps=2, frozen=()))
    assert not torch.equal(student.layers[0].a, before)


def test_exact_student_has_nothing_to_learn():
    teacher = Encoder()
    steps = distil(copy.deepcopy(teacher), teacher, run, batches(count=2), {}, DistilConfig())
    assert len(steps) == 2      # batches end before the steps do
    assert steps[0].output == pytest.approx(0, abs=1e-6) and steps[0].hidden == 0


def test_bfloat16_is_near_single_precision(pair):
    student, teacher = pair
    other = copy.deepcopy(student)
    full, half = (distil(model, teacher, run, batches(), FRACTIONS,
                         DistilConfig(steps=1, bf16=bf16))[0]
                  for model, bf16 in ((student, False), (other, True)))
    assert half.hidden == pytest.approx(full.hidden, rel=0.05)
    assert all(p.dtype == torch.float32 for p in other.parameters())


@pytest.mark.parametrize("options, words", [
    ({"steps": 0}, "steps is 0, must be at least 1"),
    ({"recalibrate": 0}, "recalibrate is 0"),
    ({"rate": 0.0}, "rate is 0.0, must be above 0"),
    ({"clip": float("nan")}, "clip is nan"),
    ({"hidden_weight": -1.0}, "hidden_weight is -1.0, must be at least 0"),
    ({"output_weight": 0.0, "hidden_weight": 0.0}, "are both 0"),
])
def test_bad_configuration(options, words):
    with pytest.raises(ValueError, match=words):
        DistilConfig(**options)


def test_nothing_to_train(pair):
    with pytest.raises(ValueError, match="nothing is left to train"):
        distil(*pair, run, batches(), FRACTIONS, DistilConfig(frozen=("",)))
