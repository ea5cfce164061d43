import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PNG = b"\x89PNG\r\n\x1a\n"


def run(script, *arguments, cwd):
    """Run a script of the repository elsewhere, without a display; return what it prints."""
    inherited = os.environ.get("PYTHONPATH")
    environment = os.environ | {
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join([str(ROOT)] + ([inherited] if inherited else [])),
    }
    done = subprocess.run(
        [sys.executable, ROOT / script, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    folder = tmp_path_factory.mktemp("example")
    return run("examples/plot_which_loss_is_fairer.py", cwd=folder), folder


def rows_of(text, title, n_rows):
    """Numbers in the rows of the table below a title and its header."""
    lines = text.split(f"{title}\n", 1)[1].splitlines()[1 : n_rows + 1]
    return [[float(word) for word in line.split()] for line in lines]


def test_the_example_saves_both_figures_and_nothing_else(example):
    text, folder = example
    names = {"which_loss_is_fairer.png", "which_loss_is_fairer_closed_form.png"}
    assert {path.name for path in folder.iterdir()} == names
    for name in names:
        assert (folder / name).read_bytes().startswith(PNG)
        assert f"figure saved in the working directory: {name}" in text


def test_the_example_prints_its_answer_first(example):
    text, _ = example
    assert text.startswith("By the MAE of the worse-off group, the two cases point in opposite")


def test_the_example_finds_the_closed_form(example):
    text, _ = example
    assert float(re.search(r"largest \|fit - closed form\|: (\S+)", text)[1]) < 1e-8
    # Least squares, by hand: 0.9 - 0.6 p; the table rounds to four digits.
    table = rows_of(text, "Best constant for two groups of brightness 0.3 and 0.9", 21)
    fits = {(row[0], row[1]): row[3] for row in table}
    assert fits[0.1, 0] == 0.84
    assert fits[0.3, 0] == 0.72
    assert fits[0.45, 0] == 0.63
    assert fits[0.3, 1] == 0.9


def test_the_example_shows_each_group_under_each_loss(example):
    text, _ = example
    table = text.split("residual = true - predicted", 1)[1].split("figure saved", 1)[0]
    for loss in ("L2", "mix 0.5", "L1"):
        below = table.split(f"\n{loss} ", 1)[1]
        for group in ("bright image", "dark image"):
            errors = re.search(rf"{group} +(\d+) +(\S+) +(\S+) +(\S+)", below)
            assert int(errors[1]) == 312
            assert 0 < float(errors[2]) <= float(errors[3]) < 1, "MAE <= RMSE, in grey values"


def test_the_example_refits_the_mix_of_smallest_error(example):
    text, _ = example
    rows = rows_of(text, "mean and standard deviation over the folds", 5)
    errors = {row[0]: row[1] for row in rows}
    assert list(errors) == [0, 0.25, 0.5, 0.75, 1]
    best = float(re.search(r"smallest MAE: loss_mix = ([\d.]+);", text)[1])
    assert errors[best] == min(errors.values())


def test_the_closing_words_of_the_example_follow_from_its_numbers(example):
    text, _ = example
    table = text.split("L1 against L2 on the test images\n", 1)[1].split("\n\n", 1)[0]
    pattern = r"^(MAE .+?|RMSE .+?)  +(\S+) +(\S+) +(\S+) +(\S+) +(L1|L2|no difference)$"
    found = re.findall(pattern, table, re.M)
    assert len(found) == 6
    words = text.split("Constant, 30 % dark images", 1)[1]
    for name, l1, l2, _, resolution, smaller in found:
        difference = float(l1) - float(l2)
        apart = abs(difference) > float(resolution)
        assert smaller == (("L1" if difference < 0 else "L2") if apart else "no difference")
        assert f"- {name}: {smaller}" in words
    assert "- MAE of the worse-off group: L1 0.6000, L2 0.4200: L2\n" in words


def test_the_benchmark_of_blocks_prints_a_row_for_each_fit(tmp_path):
    options = "--rows 3000 --features 3 --block 1000 --repeats 1 --loss-mix 0 1 --json blocks.json"
    text = run("tests/benchmarks/rows_in_blocks.py", *options.split(), cwd=tmp_path)
    rows = json.loads((tmp_path / "blocks.json").read_text("utf-8"))["results"]
    names = ["loss_mix=0", "loss_mix=1", "worst group, loss_mix=0", "worst group, loss_mix=1"]
    assert [row["case"] for row in rows] == names
    assert all(name in text for name in names)
    assert [row["passes"] for row in rows][:2] == [2, 4]
    assert all(row["largest difference"] < 1e-5 for row in rows)


def test_the_readme_shows_what_its_code_prints(capsys):
    text = (ROOT / "README.md").read_text("utf-8")
    code, shown = (
        re.search(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S)[1] for kind in ("python", "text")
    )
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == shown


def test_the_benchmark_prints_a_row_for_each_fit_and_writes_the_same_as_json(tmp_path):
    options = "--rows 300 --features 3 --repeats 1 --loss-mix 0 1 --threads 1 --json speed.json"
    text = run("tests/benchmarks/fit_speed.py", *options.split(), cwd=tmp_path)
    written = json.loads((tmp_path / "speed.json").read_text("utf-8"))
    names = ["LinearRegression", "Cholesky", "loss_mix=0", "loss_mix=1"]
    assert re.findall(r"^\| ([^-|]\S*) \|", text, re.M) == ["fit", *names]
    assert [row["fit"] for row in written["results"]] == names
    assert written["setting"]["rows"] == 300
    for row in written["results"][2:]:
        assert 0 <= row["dual_gap_"] <= 1e-8 * row["objective_"]
