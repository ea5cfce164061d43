"""Intervals between clusters cover what they are said to cover, and those without clusters do not.

Slow; it is left out by default. One command, from the repository root::

    python -m pytest -m slow tests/test_cluster_coverage.py -s

The cells are some of those of `tests/benchmarks/comparison_coverage.py`: 40 clusters of 5 to 50
rows that resemble each other.
"""

from __future__ import annotations

import importlib
import sys

import pytest

from tests.test_examples import ROOT

SIMULATIONS = 2000


@pytest.fixture(scope="module")
def script():
    """The script of the simulations, with the modules that it imports."""
    folder = str(ROOT / "tests" / "benchmarks")
    sys.path.insert(0, folder)
    try:
        yield importlib.import_module("comparison_coverage")
    finally:
        sys.path.remove(folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clusters of one group", "groups within clusters"])
def test_intervals_of_a_comparison_hold_between_clusters_and_not_between_rows(script, kind):
    cell = script.Cell(40, 0.5, kind, told=True, left_out="of the row")
    found = script.run_comparison(cell, SIMULATIONS)
    alone = script.run_comparison(script.replace(cell, told=False), SIMULATIONS)
    for quantity, by_metric in found.items():
        shares = {name: coverage.share for name, coverage in by_metric.items()}
        print(f"{kind}, {quantity}: {shares}")
        assert 0.91 <= shares["mae"] <= 0.98
    assert alone["all rows"]["mae"].share < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clusters of one group", "groups within clusters"])
def test_intervals_of_a_report_hold_between_clusters_and_not_between_rows(script, kind):
    cell = script.Cell(40, 0.5, kind, told=True)
    found = script.run_report(cell, SIMULATIONS, 500)
    alone = script.run_report(script.replace(cell, told=False), SIMULATIONS, 500)
    for quantity, by_metric in found.items():
        shares = {name: coverage.share for name, coverage in by_metric.items()}
        print(f"{kind}, {quantity}: {shares}")
        assert 0.92 <= shares["mae"] <= 0.98
    assert alone["all rows"]["mean_residual"].share < 0.8
