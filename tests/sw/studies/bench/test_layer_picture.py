"""The picture of a layer: losses in their place, one colour a cause, the same bytes each time."""

import dataclasses
from collections import Counter

import pytest

from model.cta.config import CTAConfig
from model.cta.cycles import Use, head_cycles
from model.cta.job import Mode
from sw.io.errors import InputError
from sw.studies.bench import __main__ as bench
from sw.studies.bench import layers
from sw.studies.bench.layer_picture import CAUSES, draw, joined

HEADS = [head_cycles(CTAConfig(**parameters), *sizes, **how) for parameters in (
    dict(b=4, d=8, dw=24, l=3, n=40), dict(b=8, d=16, l=6, n=40, ahead=False, sums=2),
    dict(b=16, d=8, dw=16, l=4, n=40), dict(b=2, d=8, l=5, n=40))
    for sizes, how in (((39, 39, 9, 8, 3), {}), ((40, 40, 13, 11, 5), {"reuse": True, "held": 70}),
                       ((33, 7, 5, 4, 2), {"shared_a": True}), ((40, 40, 0, 0, 0), {"mode": Mode.EXACT}))]


@pytest.mark.parametrize("head", HEADS)
def test_losses_in_their_place_add_up(head):
    """By cause; none outside of the job, and none over another or over what is useful in full."""
    found, slots = Counter(), Counter()
    for use in head.uses:
        if use.unit == "lost":
            assert 1 <= use.start < use.end <= head.total + 1 and 0 < use.share <= 1, use
            found[use.what] += (use.end - use.start) * use.share
            for cycle in range(use.start, use.end):
                slots[cycle] += use.share
        elif use.unit == "SA" and use.what not in ("LOAD", "PAUSE"):
            for cycle in range(use.start, use.end):
                slots[cycle] += 0      # useful unless said otherwise
    assert found == pytest.approx(head.losses)
    assert max(slots.values()) == pytest.approx(1)
    assert set(slots) == set(range(1, head.total + 1))
    assert head.losses.keys() <= CAUSES.keys()


def test_what_looks_alike_is_joined():
    uses = [Use("lost", "pause", 4, 6), Use("lost", "pause", 1, 4), Use("lost", "pause", 7, 8),
            Use("lost", "pause", 8, 9, 0.5)]
    assert joined(uses, lambda use: "red") == [(1, 6, 1.0, "red"), (7, 8, 1.0, "red"), (8, 9, 0.5, "red")]


def test_command(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs the plot extra")
    files = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for file in files:
        assert bench.main(["layers", "--net", "MiniLM", "--n", "128", "--point", "CTA-0.5", "--picture",
                           str(file)]) == 0
    text = files[0].read_text("utf-8")
    assert text == files[1].read_text("utf-8") and "heads 1 to 3 of 12" in text
    assert "lost: wait for centroids" in text and CAUSES["wait for centroids"].lower() in text
    assert bench.main(["layers", "--picture", str(tmp_path / "a.png")]) == 2
    assert "picture is" in capsys.readouterr().err


def test_a_cause_without_a_colour_is_refused(tmp_path):
    head = dataclasses.replace(HEADS[0], losses={"moon": 3})
    with pytest.raises(InputError, match="cause is 'moon', must be one of value load"):
        draw([head], "", tmp_path / "a.svg")


def test_a_layer_is_its_heads():
    """The picture shows what the table adds up."""
    size = layers.sizes([layers.NETS[0]], (128,), ("CTA-0",))[0]
    cfg = size.config()
    found = layers.heads(cfg, size, False)
    assert len(found) == size.net.heads
    row = layers.measure(size, simulate=False)
    assert row["cycles"] == sum(head.total + layers.BETWEEN for head in found)
