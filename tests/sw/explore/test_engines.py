from sw.explore.engines import ENGINES, FIGURES
from sw.explore.evaluation import evaluate
from tests.sw.explore.made import small
from tests.sw.explore.test_lookup import DATA as LOOKUP


def test_every_engine_has_every_figure():
    assert set(ENGINES) == {"cta", "lookup"}
    rows = [evaluate(small(clock_mhz=800).at(0)), evaluate(small(**LOOKUP | {"choices": {}}).at(0))]
    for row in rows:
        assert set(FIGURES) <= set(row)
