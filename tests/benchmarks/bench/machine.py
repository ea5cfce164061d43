"""What a measurement ran on: cores, versions of libraries and of peers; no name of a machine."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version
from typing import Any

from joblib import cpu_count
from threadpoolctl import threadpool_info

from bench.peers import PEERS

LIBRARIES = ("numpy", "scipy", "scikit-learn")


def describe_threads() -> str:
    """Thread pools loaded and their numbers of threads, such as "openblas 2, openmp 2"."""
    pools = sorted(f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info())
    return ", ".join(pools) or "unknown"


def describe() -> dict[str, Any]:
    """Cores, and versions by name."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    bundled = [pool for pool in pools if re.search("numpy|scipy", pool["filepath"])]
    blas: dict[str, set[str]] = {}  # each of the two may bring its own, and so do some peers
    for pool in bundled or pools:
        blas.setdefault(pool["internal_api"], set()).add(str(pool["version"]))
    peers = {peer.distribution for peer in PEERS.values() if peer.installed}
    others = sorted(peers - {*LIBRARIES, "skfairloss"})
    return {
        "cores": cpu_count(),
        "versions": {"Python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES}
        | {name: ", ".join(sorted(found)) for name, found in sorted(blas.items())},
        "peers": {name: version(name) for name in others},
    }
