"""Every benchmark script runs; what it says of a peer's accuracy respects our lower bound.

Times are not looked at: the quick forms are too small to mean anything.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss.fairness import BoundedGroupLoss, WorstGroupLoss
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
FAST = ("mix_path",)  # some of the others take half a minute or more


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


def test_every_case_has_our_fit_and_the_same_measurement_of_its_references(tmp_path):
    _, _, rows = run_quick("plain_fits", tmp_path, "--peers", "--loss-mix", "0", "1")
    own = ["LinearRegression", "Cholesky", "PixelLossRegressor", "Ridge"]
    assert [row["fit"] for row in rows] == own * 2
    assert all(row["ratio to fastest peer"] is None for row in rows)
    for first, second in zip(rows[:4], rows[4:], strict=True):
        once = first["fit"] != "PixelLossRegressor"
        assert (first["seconds"] == second["seconds"]) == once, "those that know no loss_mix: once"


@pytest.fixture(scope="module")
def bench():
    """Modules of the benchmarks, as the scripts import them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tests/benchmarks")
        names = ("cases", "peers", "measure", "fits")
        yield SimpleNamespace(**{name: importlib.import_module(f"bench.{name}") for name in names})


def draw(kind, unit):
    """X, y in a unit, weights and ridge of a problem."""
    rng = np.random.default_rng(5)
    rows, columns, outputs = {"wide": (20, 30, None), "outputs": (90, 3, 4)}.get(
        kind, (90, 3, None)
    )
    X = rng.standard_normal((rows, columns))
    noise = rng.standard_t(2, (rows, outputs or 1))
    y = unit * (7 + X[:, :1] + noise * np.arange(1, (outputs or 1) + 1))
    weights = rng.uniform(0.2, 3, rows) if kind == "weights" else None
    return X, y if outputs else y[:, 0], weights, 0.1 if kind == "wide" else 0.0


@pytest.mark.parametrize("unit", [1.0, 3e4])
@pytest.mark.parametrize("kind", ["plain", "weights", "wide", "outputs"])
def test_a_case_is_the_problem_that_our_default_fit_solves(bench, kind, unit):
    X, y, weights, alpha = draw(kind, unit)
    for mix in (0.0, 0.5, 1.0):
        case = bench.cases.Case("", X, y, mix, alpha=alpha, sample_weight=weights)
        model = bench.cases.fit_ours(case)
        np.testing.assert_allclose(model.scale_, case.scale, rtol=1e-12)
        found = case.objective(bench.cases.Model.of(model.coef_, model.intercept_))
        np.testing.assert_allclose(found, np.atleast_1d(model.objective_), rtol=1e-9)


def test_some_outputs_of_a_case_keep_the_scale_of_all(bench):
    X, y, *_ = draw("outputs", 1.0)
    case = bench.cases.Case("", X, y, 0.5)
    few = case.first_outputs(2)
    assert few.scale == case.scale
    assert replace(few, given=None).scale < 0.8 * case.scale
    model = PixelLossRegressor(0.5, scale=few.scale).fit(X, few.y)
    bound = bench.cases.LowerBound.certified(case)
    assert abs(bound.excess(bench.cases.Model.of(model.coef_, model.intercept_))) < 1e-8


@pytest.mark.parametrize("unit", [1.0, 3e4])
@pytest.mark.parametrize("kind", ["plain", "weights", "wide"])
def test_a_peer_minimises_our_objective_in_whatever_unit(bench, kind, unit):
    X, y, weights, alpha = draw(kind, unit)
    groups = np.arange(len(y)) % 2
    seen = set()
    for mix, term in [(0.5, None), (1.0, None), (0.5, WorstGroupLoss()), (1.0, WorstGroupLoss())]:
        terms = {"fairness": term, "groups": None if term is None else groups}
        case = bench.cases.Case("", X, y, mix, alpha, weights, **terms)
        bound = bench.cases.LowerBound.certified(case)
        for name, peer in bench.peers.PEERS.items():
            if peer.installed and peer.solves(case):
                # Hedge is not meant to be exact, ReHLine has a ridge of its own, SLSQP stops early
                rough = {"scikit-lego LADRegression": 0.02, "rehline": 0.02}
                close = (rough | {"multiplicative weights": 0.05}).get(name, 1e-3)
                assert -1e-9 <= bound.excess(peer.adapt(case)()) <= close, (name, mix)
                seen.add(name)
    assert seen >= {"cvxpy + Clarabel"}
    assert ("SVR epsilon=0" in seen) == ("Clarabel, dual" in seen) == (kind == "wide")


@pytest.mark.filterwarnings("ignore:Setting a:DeprecationWarning")  # fairlearn, of pandas
@pytest.mark.parametrize("mix", [0.0, 1.0])
def test_the_reduction_has_our_bound_in_its_own_unit(bench, mix):
    unit = 0.3  # its exponentials of losses overflow where y is large
    X, y, *_ = draw("plain", unit)
    groups = (np.arange(len(y)) % 5 == 0).astype(int)
    y = y + 5 * unit * groups  # a few rows on another level
    worst = bench.cases.Case("", X, y, mix, groups=groups, fairness=WorstGroupLoss())
    bound = bench.cases.LowerBound.certified(worst)
    asked = replace(worst, fairness=BoundedGroupLoss(1.05 * float(bound.values[0]), loss=None))
    mixture = bench.peers.exponentiated_gradient(asked)()
    assert 0 <= bound.excess(mixture) < 0.07
    plain = bench.cases.fit_ours(replace(worst, fairness=None))
    model = bench.cases.Model.of(plain.coef_, plain.intercept_)
    assert bound.excess(model) > 0.2, "the bound binds"


def test_a_run_that_cases_share_is_timed_once_and_stands_in_each_table(bench):
    X, y, *_ = draw("plain", 1.0)
    calls = []
    shared = bench.measure.Run("shared", lambda: calls.append(1), traced=False)
    entries = []
    for mix in (0.0, 1.0):
        case = bench.cases.Case(f"case {mix:g}", X, y, mix)
        bound = bench.cases.LowerBound.certified(case)
        entries.append(bench.fits.Entry(case, bound, (bench.fits.ours(case, bound), shared)))
    table = bench.fits.Bench(repeats=3, budget=60.0, peers=())
    table.add(*entries)
    assert len(calls) == 4, "three rounds after one that is not counted"
    expected = ["LinearRegression", "Cholesky", "PixelLossRegressor", "shared"]
    assert [row["fit"] for row in table.rows] == expected * 2
    assert [row["loss_mix"] for row in table.rows] == [0.0] * 4 + [1.0] * 4


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


def test_two_packages_are_compared_by_turns(tmp_path):
    quick = ["--quick", "--number", "before", "--json", "rows.json"]
    text = run("tests/benchmarks/before_after.py", str(ROOT), *quick, cwd=tmp_path)
    rows = json.loads((tmp_path / "rows.json").read_text("utf-8"))["results"]
    assert [row["case"].rpartition(" ")[2] for row in rows] == ["0", "0.5", "1"] * 3
    assert text.count("\n| ") == len(rows) + 1
    for row in rows:
        assert row["after / before"] > 0
        assert row["rounds"] >= 5
        assert row["difference"] < 1e-9, "the same problem, whether c is given or found"


def test_a_comparison_with_nothing_says_so(tmp_path):
    (tmp_path / "skfairloss").mkdir()
    (tmp_path / "skfairloss/__init__.py").touch()
    command = [sys.executable, ROOT / "tests/benchmarks/before_after.py", "--quick"]
    for named, message in (
        ("no-such-revision", "no folder with skfairloss and no revision"),
        (tmp_path, "cannot import name"),
    ):
        ended = subprocess.run(
            [*command, named], capture_output=True, text=True, check=False, timeout=120
        )
        assert ended.returncode != 0
        assert message in ended.stderr


def test_the_page_on_benchmarks_documents_every_script_and_column():
    page = (ROOT / "docs/benchmarks.md").read_text("utf-8")
    scripts = {path.name for path in (ROOT / "tests/benchmarks").glob("*.py")}
    assert set(re.findall(r"tests/benchmarks/(\w+\.py)", page)) == scripts
    explained = set(re.findall(r"^\| `([^`|]+)`", page, re.M))
    own = {further for further, _ in SCRIPTS.values()} - {None}
    assert explained >= {*COLUMNS, *own}


def test_fits_of_blocks_are_compared_by_passes_and_accuracy(tmp_path):
    run("tests/benchmarks/beyond_memory.py", "--quick", "--json", "rows.json", cwd=tmp_path)
    rows = json.loads((tmp_path / "rows.json").read_text("utf-8"))["results"]
    ours = [row for row in rows if row["fit"].startswith("PixelLossRegressor")]
    assert [row["loss"] for row in ours] == ["squared"] * 2 + ["absolute"] * 2
    assert all(row["excess"] <= 1e-12 and row["error"] <= 1e-9 for row in ours)
    steps = {row["fit"]: row for row in rows if row["fit"].startswith("SGDRegressor")}
    assert {row["passes"] for row in steps.values()} == {1.0, 10.0}
    assert all(row["excess"] > 0 for row in steps.values())


@pytest.mark.slow
def test_a_folder_is_fitted_under_a_limit_of_memory(tmp_path):
    options = "--rows", "60000", "--row-group", "20000", "--folder", ".", "--json", "rows.json"
    run("tests/benchmarks/out_of_core.py", *options, cwd=tmp_path)
    rows = json.loads((tmp_path / "rows.json").read_text("utf-8"))["results"]
    assert len(rows) == 4
    assert all(row["gap"] <= 1e-8 for row in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"]
