"""Clusters of Dask on this machine, for tests."""

from __future__ import annotations

import time
from contextlib import contextmanager

from dask.distributed import Client, LocalCluster


@contextmanager
def in_process():
    """A client of two workers in this process: no start of interpreters, and no port."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def in_processes():
    """A client of two workers in processes of their own, started again when they are lost."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def kept_keys(client):
    """Names of what the cluster keeps, once it has had time to let go of results."""
    for _ in range(100):
        kept = client.run_on_scheduler(lambda dask_scheduler: list(map(str, dask_scheduler.tasks)))
        if not kept:
            break
        time.sleep(0.02)
    return kept
