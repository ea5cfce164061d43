"""Workers that are lost in the middle of a pass: blocks are computed again, to the same bit."""

from __future__ import annotations

import os
import signal
import time
from threading import Thread

import dask
import dask.array as da
import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss.rows._dask import DaskRows
from tests.clusters import in_processes
from tests.row_kernels import Moments, Slow, assert_identical

pytestmark = pytest.mark.slow


N_BLOCKS, N = 12, 2000


def block(i, pause=0.0, n=N, p=3):
    time.sleep(pause)  # for a worker to be lost meanwhile
    rng = np.random.default_rng([17, i])
    X = rng.normal(size=(n, p))
    return np.column_stack([X, X @ np.arange(1.0, p + 1) + rng.standard_t(2, n)])


def rows(pause=0.0):
    """Blocks that can be made again anywhere, as those of files."""
    read = dask.delayed(block)
    table = da.concatenate(
        [da.from_delayed(read(i, pause), (N, 4), float) for i in range(N_BLOCKS)]
    )
    return table[:, :3], table[:, 3]


@pytest.fixture
def client():
    with in_processes() as client:
        yield client


def kill_once(client, name):
    """Kill a worker at work as soon as tasks of that name wait or run."""

    def begun(dask_scheduler):
        return any(str(key).startswith(name) for key in dask_scheduler.tasks)

    def working(dask_worker):
        return os.getpid(), bool(dask_worker.active_keys)

    def watch():
        for _ in range(1000):
            time.sleep(0.02)
            if not client.run_on_scheduler(begun):
                continue
            busy = [pid for pid, works in client.run(working).values() if works]
            if busy:
                os.kill(busy[0], signal.SIGKILL)
                killed.append(busy[0])
                return

    killed: list[int] = []
    thread = Thread(target=watch)
    thread.start()
    return thread, killed


def test_a_worker_that_is_killed_in_a_pass_changes_no_bit_of_its_sums(client):
    with dask.config.set(scheduler="threads"):
        aim = DaskRows.of(*rows()).run(Moments())
    thread, killed = kill_once(client, "slow-")
    found = DaskRows.of(*rows()).run(Slow())
    thread.join()
    assert killed
    assert_identical(found, aim)


@pytest.mark.parametrize("loss_mix", [0.0, 1.0])
@pytest.mark.parametrize("name", ["look-", "smooth-", "split-", "measure-"])
def test_a_worker_that_is_killed_in_any_pass_changes_no_bit_of_the_model(client, name, loss_mix):
    if loss_mix == 0.0 and name in {"smooth-", "split-"}:
        pytest.skip("least squares has two passes")
    with dask.config.set(scheduler="threads"):
        aim = PixelLossRegressor(loss_mix).fit(*rows())
    thread, killed = kill_once(client, name)
    found = PixelLossRegressor(loss_mix).fit(*rows(pause=0.3))
    thread.join()
    assert killed, f"no task of {name}"
    np.testing.assert_array_equal(found.coef_, aim.coef_)
    assert found.intercept_ == aim.intercept_
    assert found.dual_gap_ == aim.dual_gap_
