"""MONGOOSE: its triplet loss against loops over pairs; the rest is SLIDE's."""

import numpy as np
import pytest
import torch

from sw.nn.ffn.mongoose import MongooseFFN
from sw.nn.ffn.slide import SlideFFN


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def layer(**options):
    ffn = MongooseFFN(6, 20, **options).double()
    torch.nn.init.normal_(ffn.up, std=0.5)
    torch.nn.init.normal_(ffn.up_bias)
    torch.nn.init.normal_(ffn.projection)
    return ffn


def pairs(ffn, x):
    """Positive and negative pairs of one pass: loops over tokens and neurons."""
    projection, up, bias = (p.detach().numpy() for p in (ffn.projection, ffn.up, ffn.up_bias))
    keys = np.concatenate([up, bias[:, None]], axis=1)
    queries = np.concatenate([x, np.ones((len(x), 1))], axis=1)

    def code(v):
        return (v @ projection > 0).reshape(ffn.tables, ffn.bits)

    size = len(keys)
    u = np.array([[q @ k for k in keys] for q in queries])
    large = max(0.0, np.mean([np.sort(row)[int(size * 0.999) - 1] for row in u]))
    small = np.mean([np.sort(row)[int(size * 0.5) - 1] for row in u])
    positive, negative = [], []
    for t, q in enumerate(queries):
        for i, k in enumerate(keys):
            hit = (code(q) == code(k)).all(axis=1).any()
            if not hit and u[t, i] > large:
                positive.append((q, k))
            if hit and u[t, i] < small:
                negative.append((q, k))
    return positive, negative


def cosine(pair, projection):
    q, k = (v @ projection for v in pair)
    return q @ k / (np.linalg.norm(q) * np.linalg.norm(k))


def test_the_forward_is_that_of_slide():
    ffn = layer(bits=3, tables=2, per_pass=4)
    slide = SlideFFN(6, 20, bits=3, tables=2, per_pass=4).double()
    slide.load_state_dict(ffn.state_dict())
    x = torch.randn(3, 7, 6, dtype=torch.float64)
    assert (ffn(x) == slide(x)).all() and ffn.active == slide.active


def test_triplet_loss_lies_where_the_pairs_put_it():
    """Which pairs of the larger set are taken is chance: the mean over draws must be the mean
    over all pairs of pairs, as a margin of 3 keeps every one of them above zero."""
    ffn = layer(bits=2, tables=2, margin=3.0)
    x = torch.randn(12, 6, dtype=torch.float64)
    positive, negative = pairs(ffn, x.numpy())
    assert len(positive) >= 3 and len(negative) > len(positive)
    projection = ffn.projection.detach().numpy()
    mean_p, mean_n = (np.mean([cosine(pair, projection) for pair in side])
                      for side in (positive, negative))
    draws = []
    for _ in range(100):
        ffn(x)
        draws.append(ffn.aux_loss.item())
    error = np.std(draws) / 10
    assert error > 0 and abs(np.mean(draws) - (mean_n - mean_p + 3.0)) < 4 * error


@pytest.mark.parametrize("margin", [0.1, 1.0])
def test_triplet_loss_of_equal_sets(margin):
    """One positive and one negative pair: no chance."""
    for trial in range(200):
        torch.manual_seed(trial)
        ffn = layer(bits=3, tables=1, margin=margin, auxiliary=0.5)
        x = torch.randn(2, 6, dtype=torch.float64)
        positive, negative = pairs(ffn, x.numpy())
        if len(positive) == len(negative) == 1:
            break
    else:
        pytest.fail("no seed gives one pair of each")
    projection = ffn.projection.detach().numpy()
    ffn(x)
    expected = 0.5 * max(0.0, cosine(negative[0], projection) - cosine(positive[0], projection)
                         + margin)
    assert ffn.aux_loss.item() == pytest.approx(expected, abs=1e-12)


def test_passes_are_averaged():
    ffn = layer(bits=2, tables=2, per_pass=8)
    x = torch.randn(24, 6, dtype=torch.float64)
    parts = []
    torch.manual_seed(1)
    for part in x.split(8):
        ffn(part)
        parts.append(ffn.aux_loss.item())
    assert min(parts) > 0
    torch.manual_seed(1)
    ffn(x)
    assert ffn.aux_loss.item() == pytest.approx(sum(parts) / 3, abs=1e-12)


def test_only_the_projection_learns_from_the_triplets_and_only_from_them():
    ffn = layer(bits=2, tables=2)
    x = torch.randn(12, 6, dtype=torch.float64, requires_grad=True)
    y = ffn(x)
    ffn.aux_loss.backward()
    assert (ffn.projection.grad != 0).any()
    assert x.grad is None and ffn.up.grad is None and ffn.down.grad is None
    ffn.projection.grad = None
    y.sum().backward()
    assert ffn.projection.grad is None and (ffn.up.grad != 0).any()


def test_training_the_hash_draws_positives_nearer_than_negatives():
    ffn = layer(bits=2, tables=2)
    x = torch.randn(64, 6, dtype=torch.float64)
    optimiser = torch.optim.Adam([ffn.projection], lr=0.02)
    positive, negative = pairs(ffn, x.numpy())

    def gap():
        projection = ffn.projection.detach().numpy()
        return (np.mean([cosine(pair, projection) for pair in positive])
                - np.mean([cosine(pair, projection) for pair in negative]))

    before = gap()
    for _ in range(30):
        optimiser.zero_grad()
        ffn(x)
        ffn.aux_loss.backward()
        optimiser.step()
    assert gap() > before + 0.1


def test_neurons_below_zero_are_never_missed():
    """A GELU of a negative product is next to nothing: no positives, so no pairs."""
    ffn = layer(bits=2, tables=2)
    x = torch.randn(64, 6, dtype=torch.float64)
    ffn(x)
    assert ffn.aux_loss.item() > 0
    with torch.no_grad():
        ffn.up_bias -= 100.0
    ffn(x)
    assert ffn.aux_loss.item() == 0.0


def test_no_pairs_and_no_training():
    ffn = layer(bits=1, tables=1)
    with torch.no_grad():
        ffn.projection.zero_()                  # all in bucket 0: everything retrieved
    ffn(torch.randn(4, 6, dtype=torch.float64))
    assert ffn.aux_loss.item() == 0.0
    ffn.aux_loss.backward()
    assert (ffn.projection.grad == 0).all()
    ffn.eval()
    ffn(torch.randn(4, 6, dtype=torch.float64))
    assert ffn.aux_loss is None
    off = layer(auxiliary=0.0)
    off(torch.randn(4, 6, dtype=torch.float64))
    assert off.aux_loss is None


def test_one_neuron():
    ffn = MongooseFFN(6, 1, bits=1)
    ffn(torch.randn(4, 6))
    assert torch.isfinite(ffn.aux_loss)


def test_active_share_of_the_paper():
    """Independent tokens at the defaults: the paper's 3.21 MFLOP within a tenth."""
    ffn = MongooseFFN(512, seed=0).eval()
    with torch.no_grad():
        ffn(torch.randn(2048, 512, generator=torch.Generator().manual_seed(0)))
    assert ffn.flop == round(2048 * ffn.active) + 2 * 513 * 36
    assert ffn.flop == pytest.approx(3.21e6, rel=0.1)


@pytest.mark.parametrize("option, message", [
    ({"margin": -1.0}, r"margin is -1.0, must be a number >= 0"),
    ({"auxiliary": float("nan")}, "auxiliary is nan, must be a number >= 0"),
    ({"bits": 0}, r"bits is 0, must be an integer in 1\.\.16"),
])
def test_refused(option, message):
    with pytest.raises(ValueError, match=message):
        MongooseFFN(8, **option)
