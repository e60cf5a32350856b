"""The policy keeps its limits, is what was measured, and survives its file and its model."""

import itertools
import json

import pytest

torch = pytest.importorskip("torch", reason="needs the sw extra")

from torch import nn  # noqa: E402

from model.cta.config import CTAConfig  # noqa: E402
from model.cta.cycles import head_cycles  # noqa: E402
from model.cta.job import Mode  # noqa: E402
from sw.io.errors import InputError  # noqa: E402
from sw.nn.attachment import attention_layers  # noqa: E402
from sw.nn.calibration import calibrate_layers  # noqa: E402
from sw.nn.cta_heads import CTAHeads  # noqa: E402
from sw.policy import plan as policies  # noqa: E402
from sw.policy.plan import Candidate, Policy, layer_cycles  # noqa: E402
from sw.policy.search import cosine_error, plans, search  # noqa: E402

CFG = CTAConfig(b=4, d=8, dw=16, l=4, n=64)
N = 32
CANDIDATES = (Candidate("exact", None), Candidate("half", (0.5, 0.45, 0.05)),
              Candidate("tenth", (0.1, 0.09, 0.02)))


class Stack(nn.Module):
    """A few attention layers with residuals; the first is made to matter most."""

    def __init__(self, layers=3, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.ModuleList(CTAHeads(16, 2, l=4, seed=i) for i in range(layers))
        self.double()

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = x + (3.0 if i == 0 else 0.3) * layer(x)
        return x


@pytest.fixture(scope="module")
def model():
    return Stack()


@pytest.fixture(scope="module")
def run(model):
    x = torch.randn(2, N, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return lambda: model(x).mean(dim=1)


@pytest.fixture(scope="module")
def every(model, run):
    """Every plan there is, by brute force: {names: (cycles, error)}."""
    layers = attention_layers(model)
    for h in layers.values():
        h.mode = "exact"
    exact, found = run(), {}
    for plan in itertools.product(CANDIDATES, repeat=len(layers)):
        for h, c in zip(layers.values(), plan):
            h.mode = "cta" if c.fractions else "exact"
        reached = calibrate_layers(model, run, {name: {"counts": c.fractions} for name, c in
                                                zip(layers, plan) if c.fractions})
        cycles = sum(layer_cycles(CFG, N, 2, reached[name].fractions if name in reached else None)
                     for name in layers)
        found[tuple(c.name for c in plan)] = cycles, cosine_error(run(), exact)
    return found


def test_layer_cycles_are_those_of_the_cycle_model():
    first, other = (head_cycles(CFG, N, N, 0, 0, 0, Mode.EXACT, reuse=reuse).total
                    for reuse in (False, True))
    assert layer_cycles(CFG, N, 2, None) == first + other
    first, other = (head_cycles(CFG, N, N, 16, 8, 1, reuse=reuse).total for reuse in (False, True))
    assert layer_cycles(CFG, N, 3, (0.5, 0.25, 1e-6)) == first + 2 * other


def test_plans_are_the_pareto_front():
    g = torch.Generator().manual_seed(0)
    cycles = torch.randint(1, 30, (3, 4), generator=g).tolist()
    errors = torch.rand(3, 4, generator=g).tolist()
    every = {p: (sum(cycles[i][j] for i, j in enumerate(p)),
                 sum(errors[i][j] for i, j in enumerate(p)))
             for p in itertools.product(range(4), repeat=3)}
    want = [(c, e) for c, e in every.values()
            if not any((x <= c and y < e) or (x < c and y <= e) for x, y in every.values())]
    front = plans(cycles, errors)
    assert [(c, pytest.approx(e)) for c, e, _ in front] == sorted(set(want))
    assert all(every[p] == (c, pytest.approx(e)) for c, e, p in front)


def test_error_limit_is_kept_and_no_plan_near_is_cheaper(model, run, every):
    for limit in (0.002, 0.02):
        found = search(model, run, CFG, N, max_error=limit, candidates=CANDIDATES)
        assert found.policy.error <= limit
        least = min(c for c, e in every.values() if e <= limit)
        assert found.policy.cycles <= 1.1 * least
        # It is what was measured, and it is in force.
        names = tuple(c.candidate for c in found.policy.choices)
        assert every[names] == (found.policy.cycles, pytest.approx(found.policy.error, abs=1e-12))
        for choice, heads in zip(found.policy.choices, model.layers):
            assert heads.mode == choice.mode
            assert choice.w is None or tuple(heads.w.tolist()) == choice.w


def test_cycle_limit_is_kept(model, run, every):
    exact = 3 * layer_cycles(CFG, N, 2, None)
    for share in (0.8,):
        found = search(model, run, CFG, N, max_share=share, candidates=CANDIDATES)
        assert found.policy.share <= share
        assert found.policy.exact_cycles == exact
        best = min(e for c, e in every.values() if c <= share * exact)
        assert found.policy.error <= 2 * best + 1e-12


def test_no_error_allowed_is_exact(model, run):
    found = search(model, run, CFG, N, max_error=0.0, candidates=CANDIDATES)
    assert [c.candidate for c in found.policy.choices] == ["exact"] * 3
    assert found.policy.share == 1 and found.policy.error == pytest.approx(0, abs=1e-12)


def test_sensitivities_are_those_of_one_layer(model, run, every):
    found = search(model, run, CFG, N, max_error=0.01, candidates=CANDIDATES)
    for i, (name, row) in enumerate(found.alone.items()):
        assert name == f"layers.{i}"
        for candidate, error in row.items():
            plan = ["exact"] * 3
            plan[i] = candidate
            assert error == pytest.approx(every[tuple(plan)][1], abs=1e-12)


def test_calibration_is_in_the_order_of_the_layers(model, run):
    target = {f"layers.{i}": {"counts": (0.3, 0.27, 0.05)} for i in range(3)}
    for heads in model.layers:
        heads.mode = "cta"
    calibrate_layers(model, run, target)
    run()
    for heads in model.layers:      # the counts of a run as it is, after all are calibrated
        got = heads.counts.double().mean(dim=0) / N
        assert got.tolist() == pytest.approx([0.3, 0.27, 0.05], abs=0.04)


def test_calibration_is_on_the_first_call(model, run):
    target = {"layers.0": {"counts": (0.3, 0.27, 0.05)}}
    model.layers[0].mode = "cta"
    first = torch.randn(2, N, 16, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    calibrate_layers(model, lambda: model(first), target)
    want = model.layers[0].w.tolist()
    calibrate_layers(model, lambda: (model(first), model(9 * first)), target)
    assert model.layers[0].w.tolist() == want


def test_file_and_model(model, run, tmp_path):
    found = search(model, run, CFG, N, max_error=0.01, candidates=CANDIDATES).policy
    found.save(tmp_path / "policy.json")
    again = Policy.load(tmp_path / "policy.json")
    assert again == found
    data = json.loads((tmp_path / "policy.json").read_text())
    assert data["schema"] == 1 and data["engine"] == {"b": 4, "d": 8, "dw": 16, "l": 4}
    other = Stack(seed=0)
    again.apply(other)
    assert [h.mode for h in other.layers] == [h.mode for h in model.layers]
    assert str(found).count("\n") == 4 and f"{found.cycles:,}" in str(found)
    with pytest.raises(ValueError, match="the policy has layers layers.0, layers.1, layers.2"):
        again.apply(Stack(layers=2))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "choices": 3}'])
def test_bad_file(text, tmp_path):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(InputError, match="is no policy"):
        Policy.load(tmp_path / "p.json")
    with pytest.raises(InputError, match="No such file"):
        Policy.load(tmp_path / "none.json")


def test_refusals(model, run):
    def go(cfg=CFG, n=N, **options):
        options = {"max_error": 0.1, "candidates": CANDIDATES} | options
        return search(model, run, cfg, n, **options)
    with pytest.raises(ValueError, match="d, dw, l = 16, 16, 4, must be 8, 16, 4"):
        go(CTAConfig(b=4, d=16, l=4, n=64))
    with pytest.raises(ValueError, match="n is 65, must be in 2..64"):
        go(n=65)
    with pytest.raises(ValueError, match="one of the two"):
        go(max_share=0.5)
    with pytest.raises(ValueError, match="one of the two"):
        go(max_error=None)
    with pytest.raises(ValueError, match="one that is exact"):
        go(candidates=CANDIDATES[1:])
    with pytest.raises(ValueError, match="max_share is 0.010, the candidates need at least"):
        go(max_error=None, max_share=0.01)
    with pytest.raises(ValueError, match="Linear has no CTA attention layer"):
        search(nn.Linear(2, 2), run, CFG, N, max_error=0.1)


def test_candidates_begin_exact_and_hold_the_operating_points():
    assert policies.CANDIDATES[0].fractions is None
    by_name = {c.name: c.fractions for c in policies.CANDIDATES}
    assert by_name["CTA-0"] == pytest.approx((322 / 512, 258 / 512, 29 / 512))
