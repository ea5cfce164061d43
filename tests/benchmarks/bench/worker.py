"""A process that times fits of the package in a folder, which has to be first on its path.

``python -m bench.worker FOLDER`` reads pickled requests from standard input: ("data", (X, y,
groups)), or ("fit", (parameters, weight of the worst group or None)), which is answered by the
seconds of the fit, by the clock and of the processor, and its coefficients (m, p).
"""

from __future__ import annotations

import gc
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import skfairloss
from skfairloss import PixelLossRegressor
from skfairloss.fairness import WorstGroupLoss


def timed(data: tuple[Any, ...], parameters: dict[str, Any], worst: float | None) -> Any:
    """Return the seconds of a fit by the clock and of the processor, and its coefficients."""
    X, y, groups = data
    term = None if worst is None else WorstGroupLoss(worst)
    model = PixelLossRegressor(**parameters, fairness=term)
    gc.collect()
    start = np.array([time.perf_counter(), time.process_time()])
    model.fit(X, y, sensitive_features=None if worst is None else groups)
    seconds = np.array([time.perf_counter(), time.process_time()]) - start
    return seconds, np.atleast_2d(model.coef_)


def main() -> None:
    """Answer requests until they end."""
    if not Path(skfairloss.__file__).is_relative_to(sys.argv[1]):
        raise SystemExit(f"not the package in {sys.argv[1]}: {skfairloss.__file__}")
    gc.freeze()  # what the imports left is not looked at again before each fit
    data: tuple[Any, ...] = ()
    while True:
        try:
            request, content = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        if request == "data":
            data = content
        else:
            pickle.dump(timed(data, *content), sys.stdout.buffer)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
