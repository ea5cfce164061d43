"""The pages on speed say what the files of the benchmark scripts say; the profile counts rightly.

Tables and sentences with numbers are written from the files. Nothing here looks at a time.
"""

from __future__ import annotations

import importlib
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss._design.dense import DenseDesign
from skfairloss.fairness import WorstGroupLoss
from tests.test_examples import ROOT, run

DOCS = ROOT / "docs"
COMMAND = "tests/benchmarks/speed.py"
OURS = "PixelLossRegressor"


@pytest.fixture(scope="module")
def bench():
    """Modules of the benchmarks, as the scripts import them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tests/benchmarks")
        names = ("profile", "speed.page", "speed.results", "speed.summary", "speed.tables")
        modules = {name: importlib.import_module(f"bench.{name}") for name in names}
        yield SimpleNamespace(**{name.split(".")[-1]: one for name, one in modules.items()})


@pytest.fixture(scope="module")
def results(bench):
    return bench.results.load(DOCS / "speed")


@pytest.fixture(scope="module")
def pages(bench):
    return {name: (DOCS / name).read_text("utf-8") for name in bench.page.PAGES}


def test_the_pages_are_what_the_files_render_to(bench, results, pages):
    assert bench.page.fill(pages, results) == pages


def test_a_number_typed_into_a_table_does_not_last(bench, results, pages):
    text = pages["speed_tables.md"]
    row = re.search(r"^\| rows, 10 000 to .*$", text, re.M)[0]
    changed = text.replace(row, re.sub(r"\d\.\d\d", "9.99", row))
    assert changed != text
    assert bench.page.fill(pages | {"speed_tables.md": changed}, results) == pages


def test_a_part_whose_file_is_absent_says_how_to_measure_it(bench, results, pages):
    fewer = {name: content for name, content in results.items() if name != "growth"}
    missing = "Not measured: `python tests/benchmarks/speed.py --only growth` does it."
    assert missing in bench.page.fill(pages, fewer)["speed_tables.md"]
    assert "Nothing has been measured yet." in bench.page.fill(pages, {})["speed.md"]


def test_the_pages_hold_no_seconds_and_name_no_machine(pages):
    written = re.findall(r"<!-- begin \w+ -->(.*?)<!-- end", "".join(pages.values()), re.S)
    assert not re.search(r"\d (s|ms|seconds)\b|seconds", "".join(written))


def test_files_say_what_they_were_measured_on_and_which_peers_were_there(results):
    for content in results.values():
        assert content["machine"]["cores"] >= 1
        assert {"numpy", "scipy", "scikit-learn"} < set(content["machine"]["versions"])
        assert content["setting"]["threads"]
        assert content["setting"]["repeats"] >= 1


def test_growth_with_rows_spans_the_sizes_that_the_page_speaks_of(results):
    slopes = [row for row in results["growth"]["results"] if "slope" in row]
    ours = [row for row in slopes if row["fit"] == "PixelLossRegressor"]
    assert {row["part"] for row in ours} == {"rows", "columns", "outputs"}
    for row in ours:
        if row["part"] == "rows":
            assert row["sizes"][0] <= 10_000
            assert row["sizes"][-1] >= 3_000_000
            assert row["slope"] < 1.15, "in proportion, as the page says"


def test_a_plain_fit_reads_x_two_to_four_times(results):
    rows = [row for row in results["profile_fit"]["results"] if row["stage"] == "all"]
    plain = [row["passes over X"] for row in rows if not row["term"]]
    assert len(plain) >= 6
    assert all(1.95 < passes < 4.0 for passes in plain)


def test_a_plain_fit_of_many_rows_and_few_columns_takes_less_than_linear_regression(results):
    rows = results["plain_fits"]["results"]
    found = [r["ratio to R"] for r in rows if r["fit"] == OURS and r["shape"][0] >= 100_000]
    assert len(found) >= 9
    assert max(found) < 1


def test_references_of_a_size_are_measured_once_for_all_mixes(results):
    seconds = {}
    for row in results["plain_fits"]["results"]:
        if row["fit"] in ("LinearRegression", "Cholesky"):
            seconds.setdefault((row["fit"], *row["shape"]), set()).add(row["seconds"])
    assert len(seconds) >= 10
    assert all(len(found) == 1 for found in seconds.values())


def test_a_loose_tol_saves_time_under_a_mix_and_none_under_l1_with_many_outputs(results):
    rows = results["many_outputs"]["results"]
    times = {(r["loss_mix"], r["fit"]): r["ratio to C"] for r in rows if "x 200" in r["case"]}
    tight, loose = f"{OURS}, tol=1e-08", f"{OURS}, tol=0.001"
    assert times[0.5, loose] < times[0.5, tight]
    assert times[1.0, loose] > times[1.0, tight]


def test_the_path_takes_less_than_its_fits_and_than_warm_starts(results):
    rows = {row["fit"]: row["ratio to C"] for row in results["mix_path"]["results"]}
    assert rows["loss_mix_path, 21 mixes"] < rows[f"{OURS}, 21 mixes warm"]
    assert rows[f"{OURS}, 21 mixes warm"] < rows[f"{OURS}, 21 mixes cold"]


def test_kinds_of_data_are_named_by_their_largest_ratio(bench):
    file = fits(("odd, 200 000 x 2", "PixelLossRegressor", 3.0, 0.0, False))
    file["results"][0]["ratio to twin"] = 1.5
    file["results"].append(file["results"][0] | {"loss_mix": 0.5, "ratio to twin": 1.0})
    file["results"].append(file["results"][0] | {"case": "even, 200 000 x 2", "ratio to twin": 1.1})
    text = bench.summary.hard({"hard_data": file})
    assert text.endswith("up to: odd (1.5 times). At most 1.1 times as long: even.")


def fits(*rows):
    """A file of plain fits: (case, fit, ratio to C, excess, peer) each, at loss_mix 1."""
    common = {"ratio to R": 1.0, "extra memory": 1.0, "loss_mix": 1.0, "shape": [200_000, 2, 1]}
    common |= {"term": False, "note": "", "ratio to fastest peer": 2.0}
    names = ("case", "fit", "ratio to C", "relative excess", "peer")
    return {"results": [common | dict(zip(names, row, strict=True)) for row in rows]}


def test_every_accurate_peer_that_is_faster_is_named_and_no_other(bench):
    ours = OURS
    file = fits(
        ("a", "Cholesky", 1.0, 0.1, False),
        ("a", ours, 3.0, 0.0, False),
        ("a", "near", 2.0, 1e-6, True),
        ("a", "nearer", 2.5, 0.0, True),
        ("a", "slow", 3.5, 0.0, True),
        ("a", "rough", 0.5, 1e-3, True),
        ("a", "skipped", None, None, True),
        ("b", ours, 3.0, 0.0, False),
        ("b", "slow", 3.5, 0.0, True),
        ("c", f"{ours}, tol=0.001", 3.0, 1e-4, False),
        ("c", "near", 2.0, 1e-6, True),
    )
    text = bench.tables.lost({"plain_fits": file})
    assert text.startswith("In 1 of 2 fits:")
    assert text.splitlines()[-1] == "| a | near (2), nearer (2.5) | 3 |"
    assert (
        "2 of our 2 fits as closely. In 1 of these we are the fastest."
        in bench.summary.findings({"plain_fits": file})
    )
    skipped = next(row for row in file["results"] if row["fit"] == "skipped")
    for note, words in (("skipped: 9 s at b", "over budget"), ("x; failed: y", "failed")):
        skipped["note"] = note
        assert f"| skipped | {words} |" in bench.tables.peers("plain_fits")({"plain_fits": file})


def test_least_squares_has_the_fits_of_scikit_learn_for_rivals(bench):
    file = fits(
        ("a", "LinearRegression", 2.0, 0.1, False),
        ("a", "Cholesky", 1.0, 0.1, False),
        ("a", "PixelLossRegressor", 3.0, 0.0, False),
    )
    assert bench.tables.lost({"plain_fits": file}) == "In none of 1 fits."
    for row in file["results"]:
        row["loss_mix"] = 0.0
    text = bench.tables.lost({"plain_fits": file})
    assert text.splitlines()[-1] == "| a | LinearRegression (2) | 3 |"
    for row in file["results"]:
        row["term"] = True
    assert bench.tables.lost({"plain_fits": file}) == "In none of 1 fits."


def test_products_with_x_are_counted_in_rows_each_once(bench):
    X = np.random.default_rng(0).standard_normal((50_000, 7))
    w, ones = np.ones(7), np.ones(50_000)
    seen = bench.profile.Profile()

    def work():
        design = DenseDesign(X)
        design.predict(w, 0.0)
        design.sweep(ones, w, 0.0, lambda rows, r: (r, r.sum()))
        design.gather(lambda rows: ones[rows])
        half = design.subset(np.arange(0, 50_000, 2))
        half.adjoint(ones[:25_000])  # of a copy: not a product with X
        design.block(slice(10, 20))
        design.absolute().predict(w, 0.0)

    before = {name: getattr(DenseDesign, name) for name in bench.profile.products()}
    seen.run(work)
    assert {name: getattr(DenseDesign, name) for name in before} == before
    assert "sums_by_group" not in vars(DenseDesign), "inherited, as before"
    read = {product: rows for (_, product), rows in seen.rows.items()}
    whole = 50_000
    assert read == {
        "predict": 2 * whole,
        "sweep": whole,
        "gather": whole,
        "subset": whole // 2,
        "block": 10,
    }
    assert {stage for stage, _ in seen.rows} == {bench.profile.REST}


def test_a_fit_of_least_squares_reads_x_as_often_as_the_page_on_its_working_says(bench):
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((60_000, 6)), rng.standard_normal(60_000)
    seen = bench.profile.Profile()
    seen.run(lambda: PixelLossRegressor(0.0).fit(X, y))
    assert 2 <= sum(seen.rows.values()) / len(y) < 2.2
    assert {bench.profile.CHECKS, bench.profile.MEANS, bench.profile.CERTIFICATE} < set(
        seen.seconds
    )
    assert all(seconds >= 0 for seconds in seen.seconds.values())


@pytest.mark.parametrize(("loss_mix", "passes"), [(0.5, 3), (1.0, 4)])
def test_a_fit_of_group_losses_reads_x_as_often_as_the_page_on_its_working_says(
    bench, loss_mix, passes
):
    rng = np.random.default_rng(1)
    X, code = rng.standard_normal((120_000, 6)), rng.integers(0, 3, 120_000)
    y = X.sum(axis=1) + (1 + code) * rng.standard_t(3, len(X))
    seen, model = (
        bench.profile.Profile(),
        PixelLossRegressor(loss_mix, fairness=WorstGroupLoss(0.5)),
    )
    seen.run(lambda: model.fit(X, y, sensitive_features=code))
    assert passes <= sum(seen.rows.values()) / len(y) < passes + 1


def test_a_stage_that_is_gone_is_an_error_that_says_where_it_is_named(bench, monkeypatch):
    gone = (("any", "skfairloss._design.sample", "no_such_function"),)
    monkeypatch.setattr(bench.profile, "STAGES", gone)
    named = r"skfairloss\._design\.sample has no no_such_function: STAGES"
    with pytest.raises(LookupError, match=named):
        bench.profile.Profile().run(lambda: None)


def test_the_quick_form_runs_into_another_folder_and_writes_the_page_beside_it(
    bench, tmp_path, monkeypatch, capfd
):
    options = ["--quick", "--only", "profile_fit", "--out", str(tmp_path / "speed")]
    monkeypatch.setattr("sys.argv", ["speed.py", *options])
    importlib.import_module("speed").main()
    assert "| all |" in capfd.readouterr().out
    written = json.loads((tmp_path / "speed/profile_fit.json").read_text("utf-8"))
    assert {row["stage"] for row in written["results"]} >= {"all", "certificate", "coordinates"}
    for case in {row["case"] for row in written["results"]}:
        rows = [row for row in written["results"] if row["case"] == case]
        assert sum(r["share of time"] for r in rows[:-1]) == pytest.approx(1, abs=1e-3)
        assert sum(r["passes over X"] for r in rows[:-1]) == pytest.approx(
            rows[-1]["passes over X"], rel=1e-3
        )
    page = (tmp_path / "speed_tables.md").read_text("utf-8")
    assert "3 000 x 3:" in page
    assert "Not measured: `python tests/benchmarks/speed.py --only growth` does it." in page


@pytest.mark.slow
def test_the_quick_form_of_all_scripts_runs_and_writes_nothing(tmp_path):
    files = {path: path.read_bytes() for path in (DOCS / "speed").iterdir()}
    text = run(COMMAND, "--quick", cwd=tmp_path)
    assert text.count("\n== ") == 10
    assert {path: path.read_bytes() for path in (DOCS / "speed").iterdir()} == files
    assert list(tmp_path.iterdir()) == []
