"""With a real cluster of two processes: a worker that dies costs nothing but time."""

import os
import signal

import pytest

from sw.explore import cluster
from sw.explore.cluster import here, on, workers
from sw.explore.evaluation import evaluate_all
from sw.io.errors import InputError
from tests.sw.explore.made import small

POINTS = [small(hardware={"l": [2, 3, 4, 5, 6, 7, 8], "b": [4, 8], "pag": [4, 8]}).at(number)
          for number in range(56)]


def by_point(chunks) -> dict:
    return {str(point): row for points, rows in chunks for point, row in zip(points, rows, strict=True)}


@pytest.fixture(scope="module")
def local():
    pytest.importorskip("distributed", reason="the explore extra is not installed")
    from distributed import Client, LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as found, \
            Client(found, set_as_default=False) as client:
        yield client


@pytest.fixture(autouse=True)
def chunks(monkeypatch):
    monkeypatch.setattr(cluster, "CHUNK", 4)


def test_a_scheduler_that_exists(local):
    with workers(None, local.scheduler.address) as (evaluator, where):
        assert "2 workers of tcp://" in where
        assert by_point(evaluator(POINTS)) == by_point(here(POINTS))


def test_a_worker_that_dies_in_mid_run(local):
    """As by a power cut: the process is gone without a word."""
    pids = local.run(os.getpid)
    found, expected = {}, by_point(here(POINTS))
    for at, (points, rows) in enumerate(on(local)(POINTS)):
        found |= by_point([(points, rows)])
        if at == 1:
            os.kill(next(iter(pids.values())), signal.SIGKILL)
    assert found == expected
    assert set(local.run(os.getpid).values()) != set(pids.values())


def deadly(points):
    """Evaluate, but for one point that takes its worker along."""
    if any(point["hardware"]["l"] == 5 for point in points):
        os._exit(1)
    return evaluate_all(points)


def test_a_point_that_no_worker_survives_is_a_row(local, monkeypatch):
    monkeypatch.setattr(cluster, "evaluate_all", deadly)
    local.cluster.scheduler.allowed_failures = 1
    points = [point for point in POINTS if point["hardware"]["l"] in (4, 5)][:12]
    found = by_point(on(local)(points))
    assert len(found) == len(points)
    for point in points:
        row = found[str(point)]
        dead = point["hardware"]["l"] == 5
        assert (row["status"] == "failed") is dead and ("ended its workers" in str(row["reason"])) is dead


def test_a_search_that_ends_early_leaves_nothing(local):
    evaluator = on(local)(POINTS)
    next(evaluator)
    evaluator.close()
    local.sync(local.scheduler.identity)
    assert not local.futures


def test_this_process():
    with workers(0, None) as (evaluator, where):
        assert where == "this process" and evaluator is here


def test_no_scheduler(monkeypatch):
    pytest.importorskip("distributed", reason="the explore extra is not installed")
    monkeypatch.setattr(cluster, "CONNECT", 0.5)
    with pytest.raises(InputError, match="scheduler tcp://127.0.0.1:1 does not answer"), \
            workers(None, "tcp://127.0.0.1:1"):
        pass


def test_without_dask(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dask", None)
    with pytest.raises(InputError, match=r"workers need dask, .* installs \(extra explore\)"), \
            workers(2, None):
        pass
