import os
from importlib.util import find_spec

import pytest

os.environ["MPLBACKEND"] = "Agg"
# Matrices of tests are small, so that threads of BLAS would wait for one another, all the more with
# a worker on each core. NumPy reads this when it is imported, also in scripts that tests run.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# A module whose examples need what may be absent -> the package that has it, and what to say.
NEEDED = {
    "skfairloss.callbacks.": ("sklearn.callback", "scikit-learn < 1.9"),
    "skfairloss.onnx.": ("skl2onnx", "skl2onnx is absent"),
}


def pytest_collection_modifyitems(items):
    """Leave out the examples of callbacks before scikit-learn 1.9, of ONNX without skl2onnx."""
    for prefix, (package, reason) in NEEDED.items():
        if find_spec(package) is None:
            for item in items:
                if item.name.startswith(prefix):
                    item.add_marker(pytest.mark.skip(reason=reason))
