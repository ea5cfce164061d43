"""What the pages of docs/ show is what the package does. Sphinx itself runs in .ci/run."""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import io
import re

import matplotlib.pyplot as plt
import pytest
import sklearn
from sklearn import config_context
from sklearn.exceptions import UnsetMetadataPassedError

import skfairloss
from tests.test_docstrings import OBJECTS
from tests.test_examples import PNG, ROOT, run

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
FENCE = re.compile(r"^```(\S+)\n(.*?)^```$|^```({figure}) (generated/guide/\S+)$", re.M | re.S)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
ROW = re.compile(r"^\| [^|]+ \| `(?P<call>.+)` \| `(?P<error>\w+): (?P<message>.+)` \|$", re.M)


def blocks_of(page):
    """Pairs (language, text) of the fenced blocks of a page, in their order.

    Pictures that the build draws from the code above them are pairs ({figure}, path).
    """
    found = FENCE.findall(page.read_text("utf-8"))
    return [(language or figure, text or path) for language, text, figure, path in found]


def run_python(code, shown, page, namespace):
    """Run a block; the text block after it, if there is one, is what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, page.name, "exec"), namespace)
    if shown is not None:
        assert printed.getvalue() == shown


def run_session(session, page, namespace):
    """Run a block of prompts and what they answer."""
    test = doctest.DocTestParser().get_doctest(session, {}, page.name, str(page), 0)
    test.globs = namespace  # names live on in the blocks that follow
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    failed, tried = runner.run(test, out=report.write, clear_globs=False)
    assert tried, "a pycon block without a prompt"
    assert not failed, report.getvalue()


def run_page(page):
    """Run the blocks of a page one after the other; return the names they leave."""
    namespace = {"__name__": "__main__"}
    blocks = blocks_of(page)
    with config_context():  # a page may switch metadata routing on
        for (language, text), following in zip(blocks, [*blocks[1:], ("", "")], strict=True):
            if language == "python":
                run_python(text, following[1] if following[0] == "text" else None, page, namespace)
            elif language == "pycon":
                run_session(text, page, namespace)
            elif language == "{figure}":
                assert plt.get_fignums(), f"no code draws {text}"
                plt.close("all")
    return namespace


def test_every_fenced_block_runs_or_has_its_reason_not_to():
    """Python runs, here or in test_readme, and text is what it prints; the rest is named."""
    errors = {}
    for page in [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]:
        source = page.read_text("utf-8")
        opened = re.findall(r"^ *```(\S+)", source, re.M)
        assert len(re.findall(r"^ *```", source, re.M)) == 2 * len(opened), "without a language"
        languages = [language for language in opened if language[0] != "{"]
        found = [language for language, _ in blocks_of(page)]
        for language in ("python", "pycon"):
            assert languages.count(language) == found.count(language), "indented: would not run"
        for before, language in zip(["", *languages], languages, strict=False):
            # sh: commands to set up, build and measure; .ci/run takes those of README.md
            assert language in {"python", "pycon", "text", "none", "sh"}
            assert language != "text" or before == "python", "the output of nothing"
        if "none" in languages:
            errors[page.name] = languages.count("none")
    # Errors of other versions; below and in test_persistence they are compared with those raised.
    assert errors == {"groups.md": 2, "persistence.md": 1}


EXPORT = ("skops", "skl2onnx", "onnxruntime")
NEEDED = {"persistence.md": EXPORT, "recipes.md": EXPORT}  # packages of a page's code
RUNNABLE = [page for page in PAGES if {"python", "pycon"} & set(dict(blocks_of(page)))]


def test_the_pages_with_code_are_found():
    assert {page.name for page in RUNNABLE} >= {"getting_started.md", "groups.md", "bad_input.md"}


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_every_block_of_a_page_runs_and_shows_what_it_prints(page):
    for package in NEEDED.get(page.name, ()):
        pytest.importorskip(package)
    run_page(page)


def test_a_scorer_that_does_not_request_groups_gets_the_error_of_the_version():
    page = DOCS / "groups.md"
    names = run_page(page)
    own = names["make_scorer"](names["dark_error"], greater_is_better=False)
    refused = pytest.raises((TypeError, UnsetMetadataPassedError))
    arguments = {name: names[name] for name in ("X", "y")} | {"sensitive_features": names["g"]}
    with config_context(enable_metadata_routing=True), refused as caught:
        names["own_search"].set_params(scoring=own).fit(**arguments)
    raised = f"{type(caught.value).__name__}: {caught.value}"
    shown = [text for language, text in blocks_of(page) if language == "none"]
    assert len(shown) == 2, "the error of scikit-learn 1.9 and that of earlier versions"
    version = tuple(map(int, sklearn.__version__.split(".")[:2]))
    assert doctest.OutputChecker().check_output(shown[version < (1, 9)], f"{raised}\n", FLAGS)


def test_the_api_reference_lists_exactly_the_public_objects():
    lines = (DOCS / "api.rst").read_text("utf-8").splitlines()
    listed, module = [], None
    for line in lines:
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            listed.append(getattr(importlib.import_module(module), line.strip()))
    missing = [value.__qualname__ for value in OBJECTS if value not in listed]
    assert not missing, "add them to docs/api.rst"
    assert len(listed) == len(OBJECTS)


def names_by_heading():
    """The pages of the gallery in the order of its first page, and the lines that list them."""
    header = (ROOT / "examples/GALLERY_HEADER.rst").read_text("utf-8")
    return re.findall(r"^(\d+)\. (.+\?)\n +:doc:`(\w+)`$", header, re.M)


def test_the_first_page_of_the_gallery_lists_every_page_once_with_its_question():
    listed = names_by_heading()
    assert [int(number) for number, *_ in listed] == list(range(1, len(listed) + 1))
    names = [name for *_, name in listed]
    assert sorted(names) == sorted(path.stem for path in (ROOT / "examples").glob("plot_*.py"))


def pages_below(heading):
    """Lists of the gallery's first page below a heading: what a line begins with, and its pages."""
    header = (ROOT / "examples/GALLERY_HEADER.rst").read_text("utf-8")
    below = header.split(f"{heading}\n{'-' * len(heading)}\n\n", 1)[1].split("\n\n", 1)[0]
    items = [item.partition(": :doc:") for item in below.split("\n- ")]
    return {first.removeprefix("- "): re.findall(r"<(plot_\w+)>", rest) for first, _, rest in items}


def test_every_page_of_the_gallery_has_one_kind_of_data():
    names = [name for *_, name in names_by_heading()]
    listed = [name for pages in pages_below("By data").values() for name in pages]
    assert sorted(listed) == sorted(names)


def test_the_pages_listed_by_tool_are_those_that_use_it_in_the_order_of_reading():
    names = [name for *_, name in names_by_heading()]
    tools = pages_below("By tool")
    assert len(tools) >= 8
    for words, listed in tools.items():
        tool = re.match(r"``(\w+)``", words)[1]
        used = [name for name in names if tool in used_in(ROOT / f"examples/{name}.py")]
        assert listed == used, tool


def used_in(script):
    """Public names that a page of the gallery imports and uses, or names as its own subject."""
    source = script.read_text("utf-8")
    tree = ast.parse(source)
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skfairloss")
        for alias in node.names
    }
    loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    roles = re.findall(r":(?:class|func):`~skfairloss\.(?:\w+\.)*(\w+)`", source)
    return (imported & loaded) | set(roles)


def test_every_public_object_is_used_on_a_page_of_the_gallery():
    shown = set().union(*(used_in(path) for path in (ROOT / "examples").glob("plot_*.py")))
    missing = {value.__name__ for value in OBJECTS} - shown
    # Its packages are optional: the guide shows it, and the tests run that page.
    assert missing == {"register_converters"}


def test_every_public_object_links_to_a_page_of_the_guide_that_speaks_of_it():
    conf = ast.parse((DOCS / "conf.py").read_text("utf-8"))
    assigned = {
        ast.unparse(node.targets[0]): node for node in conf.body if isinstance(node, ast.Assign)
    }
    pages = ast.literal_eval(assigned["GUIDE"].value)
    guide = {name: page for page, names in pages.items() for name in names}
    assert set(guide) == {value.__name__ for value in OBJECTS}
    for name, page in guide.items():
        text = (DOCS / f"{page}.md").read_text("utf-8")
        assert re.search(rf"\b{name}\b", text), f"docs/{page}.md does not mention {name}"


def rows_of_bad_input():
    text = (DOCS / "bad_input.md").read_text("utf-8")
    rows = [match.groupdict() for match in ROW.finditer(text)]
    tables = re.findall(r"^\|(?! bad input \||---).*$", text, re.M)
    assert len(rows) == len(tables), "a row of the table is not of the form call, error: message"
    return rows


@pytest.fixture(scope="module")
def names():
    return run_page(DOCS / "bad_input.md")


@pytest.mark.parametrize("row", rows_of_bad_input(), ids=lambda row: row["call"])
def test_bad_input_gets_the_error_that_the_table_shows(row, names):
    with pytest.raises((TypeError, ValueError)) as caught:
        eval(row["call"], names)
    assert type(caught.value).__name__ == row["error"]
    parts = map(re.escape, row["message"].split("..."))
    assert re.fullmatch(".*".join(parts), str(caught.value), re.S), str(caught.value)


@pytest.mark.parametrize("routing", ["on", "off"])
def test_a_mix_is_chosen_in_25_lines_with_routing_on_and_off(routing, tmp_path):
    script = f"docs/snippets/choose_mix_routing_{routing}.py"
    lines = (ROOT / script).read_text("utf-8").splitlines()
    assert len(lines) <= 25
    assert 'error_score="raise"' in "\n".join(lines)
    assert run(script, cwd=tmp_path) == (DOCS / "snippets/choose_mix.txt").read_text("utf-8")


def test_every_relative_link_of_a_page_leads_to_a_page_or_an_example():
    for page in [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            example = re.fullmatch(r"auto_examples/(\w+)\.rst", target)
            path = page.parent / target
            if example:
                name = example[1]
                path = (
                    ROOT / "examples" / ("GALLERY_HEADER.rst" if name == "index" else f"{name}.py")
                )
            assert path.exists(), f"{page.name} links to {target}"


QUESTION_WORD = re.compile(r"(?:^|(?<=[.:?!] )|(?<=[*-] ))(?:What|Who|Whether|How)\b[^.?:]*[.?:]")


def prose_of(path):
    """The sentences of a page, or of a script's comments, without headings, tables and code."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        comments = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
        text = "\n".join([ast.get_docstring(ast.parse(text)), *comments])
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return " ".join(re.sub(r"^(\||#|:).*$", "", text, flags=re.M).split())


def test_no_sentence_opens_with_a_question_word_unless_it_is_a_question():
    pages = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    pages += (ROOT / "examples").glob("plot_*.py")
    found = [
        f"{page.name}: {sentence}"
        for page in pages
        for sentence in QUESTION_WORD.findall(prose_of(page))
        if not sentence.endswith("?")
    ]
    assert found == []


def test_the_page_on_the_workings_names_only_modules_and_code_that_exist():
    text = (DOCS / "design.md").read_text("utf-8")
    files = list((ROOT / "skfairloss").rglob("*.py"))
    known = {path.parent.name for path in files} | {path.stem for path in files}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for field in ("name", "attr", "id", "arg", "module", "value"):  # value: of a string
                known.update(str(getattr(node, field, None)).split("."))
    of_others = {"map_batches", "mapInPandas", "treeAggregate"}  # engines that are not used
    named = set(re.findall(r"`([\w.]+)`", re.sub(r"`\w+\.toml`", "", text))) - of_others
    assert len(named) > 100
    assert [name for name in named if not set(name.split(".")) <= known] == []
    rooms = re.search(r"^    import:(.+?)^    aside:(.+?)$", text, re.M | re.S)
    assert {path.parent.name for path in files} >= set(re.findall(r"\b_\w+", rooms[0]))


def test_the_citation_names_the_version():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.search(r"^version: (.+)$", citation, re.M)[1] == skfairloss.__version__


def test_a_diagram_of_the_estimator_links_to_no_address_that_does_not_exist():
    diagram = skfairloss.PixelLossRegressor()._repr_html_()
    assert "PixelLossRegressor" in diagram
    assert "href=" not in diagram


@pytest.fixture(scope="module")
def gallery_example(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grid_search")
    return run("examples/plot_grid_search_groups.py", cwd=folder), folder


def numbers_below(text, title):
    """The rows of the table below a title and its header, by their first word or two."""
    table = text.split(f"{title}\n", 1)[1].split("\n\n", 1)[0]
    rows = re.findall(r"^(\S.*?)((?: +-?\d+\.\d+)+)$", table, re.M)
    return {name: [float(word) for word in numbers.split()] for name, numbers in rows}


def test_the_search_picks_the_smallest_value_of_each_column(gallery_example):
    text, folder = gallery_example
    assert [path.name for path in folder.iterdir()] == ["grid_search_groups.png"]
    assert (folder / "grid_search_groups.png").read_bytes().startswith(PNG)
    found = numbers_below(text, "Mean over the folds of the training images")
    assert list(found) == ["0.00", "0.25", "0.50", "0.75", "1.00"]
    picked = re.findall(r"'([^']+)': ([\d.]+)", text.split("Picked: ", 1)[1].splitlines()[0])
    assert [rule for rule, _ in picked] == ["MAE", "gap", "worst MAE"]
    for column, (_, mix) in enumerate(picked):
        values = {float(name): row[column] for name, row in found.items()}
        assert values[float(mix)] == min(values.values())


def test_the_smallest_gap_belongs_to_larger_errors_of_both_groups(gallery_example):
    text, _ = gallery_example
    by_group = numbers_below(text, "MAE on the test images")
    mixes = re.search(
        r"From loss_mix=(\S+) \(smallest MAE\) to loss_mix=(\S+) \(smallest gap\)", text
    )
    accurate, level = (by_group[f"{float(mix):.2f}"] for mix in mixes.groups())
    assert level[2] < accurate[2]
    assert level[0] > accurate[0]
    assert level[1] > accurate[1]
    assert level[0] - accurate[0] > level[1] - accurate[1], "the bright group changes more"
    changes = numbers_below(text, "(smallest gap)")
    assert set(changes) == {"dark image", "bright image"}
    assert all(change > resolution for change, resolution in changes.values())
    assert "Groups with larger errors: dark image, bright image." in text
    assert "Groups with smaller errors: none." in text
