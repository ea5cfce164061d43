import os
from importlib.util import find_spec

import pytest

os.environ["MPLBACKEND"] = "Agg"


def pytest_collection_modifyitems(items):
    """Leave out the examples of callbacks where scikit-learn, before 1.9, has none."""
    if find_spec("sklearn.callback") is None:
        for item in items:
            if item.name.startswith("skfairloss.callbacks."):
                item.add_marker(pytest.mark.skip(reason="scikit-learn < 1.9"))
