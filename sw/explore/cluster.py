"""Where points are evaluated: in this process, on workers of this machine, or on a cluster of Dask's.

All three give the same rows, as they are done. A chunk whose worker dies is evaluated by another one; a chunk
that no worker survives becomes rows with that reason.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker

from sw.explore.evaluation import Row, evaluate_all
from sw.explore.space import Point
from sw.io.errors import InputError

__all__ = ["CHUNK", "Evaluator", "here", "on", "workers"]

CHUNK = 40
"""Points of a task: half a second, so that neither the scheduler nor a lost worker costs much."""

LOSSES = 8
"""Workers that may die over one chunk before it counts as the reason."""

CONNECT = 10
"""Seconds in which a scheduler has to answer."""

Evaluator = Callable[[list[Point]], Iterator[tuple[list[Point], list[Row]]]]
"""Points to chunks of them with their rows, in the order in which they are done."""


def _chunks(points: list[Point]) -> list[list[Point]]:
    return [points[at:at + CHUNK] for at in range(0, len(points), CHUNK)]


def here(points: list[Point]) -> Iterator[tuple[list[Point], list[Row]]]:
    """One chunk after the other, in this process."""
    for chunk in _chunks(points):
        yield chunk, evaluate_all(chunk)


def on(client) -> Evaluator:
    """The evaluator of a Dask client."""
    from distributed import KilledWorker, as_completed

    def evaluated(points):
        tasks = {client.submit(evaluate_all, chunk, pure=False): chunk for chunk in _chunks(points)}
        try:
            for task in as_completed(tasks, loop=client.loop):
                chunk = tasks[task]
                try:
                    yield chunk, task.result()
                except KilledWorker:
                    yield chunk, [{"status": "failed", "engine": point["engine"], **point["hardware"],
                                   **point["choices"], "reason": "fault: it ended its workers"}
                                  for point in chunk]
        finally:
            # A search that ends early leaves nothing behind on a cluster that others use.
            with contextlib.suppress(Exception):
                client.cancel(list(tasks), reason="the search has ended", msg=None)
    return evaluated


@contextlib.contextmanager
def workers(count: int | None, scheduler: str | None) -> Iterator[tuple[Evaluator, str]]:
    """An evaluator, and where it works in words: ``count`` processes of this machine, none for this process,
    None for one a core; or those of the ``scheduler`` at an address.

    Raises InputError where Dask is missing or the scheduler does not answer.
    """
    if count == 0 and scheduler is None:
        yield here, "this process"
        return
    try:
        with _uninterrupted():
            import dask
            from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(f"workers need {error.name}, which `make setup` installs (extra explore); "
                         "--workers 0 does without") from None
    dask.config.set({"distributed.scheduler.allowed-failures": LOSSES})
    for name in ("distributed", "distributed.nanny", "distributed.scheduler", "distributed.worker"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler:
        try:
            client = Client(scheduler, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(f"scheduler {scheduler} does not answer: {error}") from None
        with client:
            found = len(client.scheduler_info(n_workers=-1)["workers"])
            if not found:
                raise InputError(f"scheduler {scheduler} has no workers")
            yield on(client), f"{found} workers of {scheduler}"
        return
    with contextlib.ExitStack() as stack:
        with _uninterrupted():
            # No dashboard: it would need a port, and packages that nothing else needs.
            cluster = stack.enter_context(LocalCluster(
                n_workers=count, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL))
            client = stack.enter_context(Client(cluster, set_as_default=False))
        yield on(client), f"{len(cluster.workers)} workers of this machine"


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block. Processes that are started within never see it: a terminal sends
    it to all, and each would die with a traceback of its own, where the first one ends them all."""
    # Started here, since its start would let the signal through again; and told that locks which an
    # interrupted program leaves, and which it removes, are nothing to warn of.
    before = os.environ.get("PYTHONWARNINGS", "")
    os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker" + ("," + before if before else "")
    resource_tracker.ensure_running()
    os.environ["PYTHONWARNINGS"] = before
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
