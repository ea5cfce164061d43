"""Every benchmark script runs; what it says of a peer's accuracy respects our lower bound.

Times are not looked at: the quick forms are too small to mean anything.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.test_examples import ROOT, run
from tests.test_fairness_examples import HIDE

COLUMNS = ["case", "fit", "seconds", "ratio to R", "ratio to C", "ratio to fastest peer"]
COLUMNS += ["relative excess", "extra memory", "rounds", "note"]
REFERENCES = ("LinearRegression", "Cholesky", "Ridge")
# What only some of the scripts have: a further column, and fits that are in each table.
SCRIPTS = {
    "plain_fits": ("ratio to Ridge", {"QuantileRegressor highs", "cvxpy + Clarabel"}),
    "hard_data": ("ratio to twin", {"pyqreg2 preprocessing", "pinball-qr pfn"}),
    "many_outputs": (None, {"Clarabel, dual", "SVR epsilon=0", "pyqreg2 ipm"}),
    "mix_path": ("ratio to cold", {"PixelLossRegressor, 5 mixes warm"}),
    "sparse_one_hot": ("ratio to Ridge", {"Ridge, sparse_cg"}),
    "growth": ("slope", {"pyqreg2 preprocessing"}),
    "fairness_terms": (
        "ratio to plain",
        {"fairlearn ExponentiatedGradient", "multiplicative weights", "cvxpy + Clarabel"},
    ),
    "real_data": (None, set()),
}
FAST = ("mix_path", "growth", "sparse_one_hot")  # the others take half a minute or more


def run_quick(script, folder, *options):
    """Columns and lines of the printed table, and the rows that were written."""
    arguments = ["--quick", "--threads", "1", "--json", "rows.json", *options]
    text = run(f"tests/benchmarks/{script}.py", *arguments, cwd=folder)
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    written = json.loads((folder / "rows.json").read_text("utf-8"))
    assert re.match(r"Median of 1 interleaved rounds .*threads: \w+ 1", text)
    assert "1" in written["setting"]["threads"]
    return lines[0], lines[2:], written["results"]


def check_measured(row):
    """A row that was timed has its columns; a peer, our fit and a reference each have theirs."""
    assert row["seconds"] > 0, row
    assert row["ratio to R"] > 0, row
    assert row["ratio to C"] > 0, row
    assert row["rounds"] == 1, row
    assert "failed: " not in row["note"], row
    if row["fit"].startswith(REFERENCES):
        return
    excess = row["relative excess"]
    assert excess >= -1e-9, row
    if row["fit"].startswith("PixelLossRegressor") and not row["case"].startswith("Bounded"):
        assert excess <= (1e-3 if "tol=0.001" in row["fit"] else 1e-6), row


@pytest.mark.parametrize(
    "script",
    [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in SCRIPTS],
)
def test_a_script_prints_and_writes_a_table_whose_fits_are_not_below_our_bound(script, tmp_path):
    header, lines, rows = run_quick(script, tmp_path)
    further, fits = SCRIPTS[script]
    assert [column for column in header if column != further] == COLUMNS
    assert (further in header) == (further is not None)
    assert [line[:2] for line in lines] == [[row["case"], row["fit"]] for row in rows]
    assert fits <= {row["fit"] for row in rows}
    for row in rows:
        absent = re.search(r"not installed|which is absent", row.get("note", ""))
        if not absent and row.get("slope") is None:
            check_measured(row)


def test_every_case_has_its_references_and_our_fit(tmp_path):
    _, _, rows = run_quick("plain_fits", tmp_path, "--peers", "--loss-mix", "0", "1")
    own = ["LinearRegression", "Cholesky", "PixelLossRegressor", "Ridge"]
    assert [row["fit"] for row in rows] == own * 2
    assert all(row["ratio to fastest peer"] is None for row in rows)


@pytest.mark.slow
def test_a_peer_that_is_not_installed_is_a_row_that_says_so(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(HIDE.format(package="cvxpy"), "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    peers = ["--peers", "cvxpy + Clarabel", "QuantileRegressor highs"]
    _, _, rows = run_quick("plain_fits", tmp_path, "--loss-mix", "1", *peers)
    by_fit = {row["fit"]: row for row in rows}
    assert by_fit["cvxpy + Clarabel"]["note"] == "not installed: pip install cvxpy"
    assert "seconds" not in by_fit["cvxpy + Clarabel"]
    assert by_fit["QuantileRegressor highs"]["ratio to fastest peer"] == 1


def test_a_peer_over_the_budget_is_skipped_in_larger_cases_and_its_row_says_so(tmp_path):
    peer = "QuantileRegressor highs"
    options = ["--loss-mix", "1", "--budget", "1e-9", "--peers", peer, "--sizes"]
    text = run(
        "tests/benchmarks/plain_fits.py", *options, "100x2", "200x2", "--repeats", "3", cwd=tmp_path
    )
    found = re.findall(rf"^\| (\S+ x \S+), .* \| {peer} \| .* \| (\S+) \| ([^|]+) \|$", text, re.M)
    (first, rounds, _), (second, none, note) = found
    assert (first, rounds, second, none) == ("100 x 2", "1", "200 x 2", "-")
    assert re.fullmatch(r"skipped: \S+ s at 100 x 2, loss_mix 1, budget 1e-09 s a fit", note)


def test_the_page_on_benchmarks_documents_every_script_and_column():
    page = (ROOT / "docs/benchmarks.md").read_text("utf-8")
    scripts = {path.name for path in (ROOT / "tests/benchmarks").glob("*.py")}
    assert set(re.findall(r"tests/benchmarks/(\w+\.py)", page)) == scripts
    explained = set(re.findall(r"^\| `([^`|]+)`", page, re.M))
    own = {further for further, _ in SCRIPTS.values()} - {None}
    assert explained >= {*COLUMNS, *own}
