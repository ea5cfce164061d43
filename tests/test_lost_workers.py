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
from dask.distributed import Client, LocalCluster

from skfairloss.rows._dask import DaskRows
from tests.row_kernels import Moments, Slow, assert_identical

pytestmark = pytest.mark.slow


def block(i, n=500, p=3):
    rng = np.random.default_rng([17, i])
    X = rng.normal(size=(n, p))
    return np.column_stack([X, X @ np.arange(1.0, p + 1) + rng.standard_t(2, n)])


def rows(n_blocks=12):
    """Blocks that can be made again anywhere, as those of files."""
    table = da.concatenate(
        [da.from_delayed(dask.delayed(block)(i), (500, 4), float) for i in range(n_blocks)]
    )
    return table[:, :3], table[:, 3]


@pytest.fixture
def client():
    """Two workers in processes of their own, which are started again when they are lost."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def kill_once(client, name):
    """Kill a worker as soon as it works at a task of that name."""

    def working(dask_worker):
        return os.getpid(), any(str(key).startswith(name) for key in dask_worker.active_keys)

    def watch():
        for _ in range(400):
            time.sleep(0.05)
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
