"""The error tables: golden models close to double precision, and the pages have what the command prints."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from model.cta import head, reference
from model.cta.config import CTAConfig
from model.cta.job import Mode
from model.cta.quantise import quantise
from sw.studies import numerics
from sw.studies.formats import CTA, LOOKUP, variant

DOCS = Path(__file__).resolve().parents[3] / "docs"


def cross(seed, n, m, d, dw):
    """A head whose m queries are other tokens; None gives self attention."""
    real = reference.synthetic(n, d, dw, seed)
    return real if m is None else replace(real, xq=reference.synthetic(m, d, dw, seed + 1000).xq)


@pytest.mark.parametrize("engine, page", [("cta", "numerics.md"), ("lookup", "lookup.md")])
def test_the_page_has_what_the_command_prints(engine, page, capsys):
    """All formats and constants of the rows, many beyond what can be built, are configurations."""
    assert numerics.main([engine]) == 0
    printed = capsys.readouterr()
    text = (DOCS / page).read_text("utf-8")
    assert f"python -m sw.studies.numerics {engine}" in text and printed.err == ""
    missing = [table for table in printed.out.strip().split("\n\n") if table not in text]
    assert len(printed.out) > 1000 and not missing, "\n\n".join(missing)


@pytest.mark.parametrize("mode, bound", [(Mode.CTA, 0.009), (Mode.EXACT, 0.008)])
@pytest.mark.parametrize("d, dw", [(16, 16), (32, 96), (64, 64)])
def test_the_golden_head_is_close_to_double_precision(mode, bound, d, dw):
    # Relative error of the whole output, clusters forced. Measured over these seeds:
    # 0.0028 to 0.0061 in CTA mode, 0.0030 to 0.0053 in exact mode.
    cfg = CTAConfig(b=4, d=d, dw=dw, n=128, tokens=256, k0=128, k1=128, k2=128)
    for seed in range(6):
        for m in None, 50:
            error = numerics.head_error(cfg, cross(seed, 127, m, d, dw), mode)
            assert error < bound, f"seed {seed}, m {m}: {error}"


def test_wide_formats_leave_nothing():
    cfg = variant(CTAConfig(n=256, k0=256, k1=256, k2=256), CTA.wide)
    for mode in Mode:
        # Measured: 5.5e-5 and 3.5e-5.
        assert numerics.head_error(cfg, reference.synthetic(256, 64), mode) < 1e-4


def test_quantised_heads_are_legal_and_do_not_saturate():
    cfg = CTAConfig(b=4, d=16, dw=48, n=96, tokens=192, k0=96, k1=96, k2=96)
    for seed in range(5):
        for mode in Mode:
            q = quantise(cfg, cross(seed, 95, 33, 16, 48), mode)
            result = head.run(cfg, q.weights, q.job)
            assert not q.saturated, f"seed {seed}"
            assert sum(result.saturations.values()) == 0 and result.zero_rows == 0, f"seed {seed}"


@pytest.mark.parametrize("choices, cfg", [(CTA, CTAConfig()), (LOOKUP, numerics.LookupConfig())])
def test_rows_change_what_they_name_and_nothing_else(choices, cfg):
    names = {f.name for f in fields(cfg.fmt)}
    for name, (change, _) in choices.rows.items():
        assert variant(cfg, change(0)) == cfg, name
        assert set(change(1)) <= set(choices.wide) and set(change(1)) - names <= set(vars(cfg)), name


def test_an_unknown_engine_is_refused(capsys):
    with pytest.raises(SystemExit) as end:
        numerics.main(["dense"])
    assert end.value.code == 2 and "cta" in capsys.readouterr().err
