import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PICTURE = ROOT / "docs/_static/first_verdict.svg"
BLOCK = re.compile(r"^```(?:python|text)\n.*?^```$", re.M | re.S)


@pytest.fixture(scope="module")
def text():
    return README.read_text("utf-8")


def test_the_readme_is_short(text):
    assert text.count("\n") < 120


def test_every_python_block_of_the_readme_runs(text, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert blocks, "README.md shows no python block"
    for block in blocks:
        exec(compile(block, README.name, "exec"), {"__name__": "__main__"})
        assert capsys.readouterr().out, "the block prints nothing a reader could compare"
        plt.close("all")


def test_getting_started_begins_with_the_code_of_the_readme(text):
    started = (ROOT / "docs/getting_started.md").read_text("utf-8")
    shown = BLOCK.findall(text)
    assert len(shown) == 2
    assert BLOCK.findall(started)[:2] == shown


def test_the_picture_of_the_readme_is_what_its_code_draws(text, tmp_path):
    code = re.search(r"^```python\n(.*?)^```$", text, re.M | re.S)[1]
    drawn = tmp_path / PICTURE.name
    with mpl.rc_context({"svg.hashsalt": PICTURE.stem, "svg.fonttype": "none"}):
        exec(compile(code, README.name, "exec"), {"__name__": "__main__"})
        plt.gcf().savefig(drawn, metadata={"Date": None}, bbox_inches="tight")
        plt.close("all")
    kept, version = PICTURE.read_text("utf-8"), f"Matplotlib v{mpl.__version__}"
    if version not in kept:
        pytest.skip(f"the picture is of another version than {version}")
    assert points(drawn.read_text("utf-8")) == pytest.approx(points(kept), abs=0.01), (
        f"copy {drawn} to {PICTURE}"
    )


def test_the_words_below_the_picture_are_those_of_its_intervals(text):
    names = {"__name__": "__main__"}
    exec(
        compile(re.search(r"^```python\n(.*?)^```$", text, re.M | re.S)[1], "README", "exec"), names
    )
    plt.close("all")
    table = names["found"].differences
    rows = table[table["statistic"] != "disparity"].fillna({"group": "all rows"}).set_index("group")
    assert rows.loc["female", "upper"] < 0 < rows.loc["male", "lower"]
    assert rows.loc["all rows", "lower"] < 0 < rows.loc["all rows", "upper"]


def points(svg):
    """Every coordinate of the lines and markers, in their order."""
    paths = re.findall(r' d="([^"]*)"| x="([\d.]+)" y="([\d.]+)"', svg)
    return [float(n) for path in paths for n in re.findall(r"-?[\d.]+", " ".join(path))]
