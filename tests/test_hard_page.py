"""The page on hard inputs says what the files of counts say, and these agree with themselves."""

from __future__ import annotations

import importlib
import json
import re
from itertools import pairwise

import numpy as np
import pytest

from tests import hard_kinds, hard_problems
from tests.test_examples import ROOT

DOCS = ROOT / "docs"
WHICH = pytest.mark.parametrize("which", ["plain", "fairness"])


@pytest.fixture(scope="module")
def hard():
    """The module that writes the page, as the command imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tests/benchmarks")
        return importlib.import_module("bench.hard")


@pytest.fixture(scope="module")
def results(hard):
    return {
        side: json.loads((DOCS / f"hard/{side}.json").read_text("utf-8")) for side in hard.SIDES
    }


@pytest.fixture(scope="module")
def pages(hard):
    return {name: (DOCS / name).read_text("utf-8") for name in hard.PAGES}


def test_the_page_is_what_the_files_render_to(hard, results, pages):
    assert hard.fill(pages, results) == pages


def test_a_number_typed_into_a_table_does_not_last(hard, results, pages):
    text = pages["hard_inputs.md"]
    row = re.search(r"^\| near copies \| \d+ .*$", text, re.M)[0]
    changed = text.replace(row, re.sub(r"\d+", "777", row))
    assert changed != text
    assert hard.fill({"hard_inputs.md": changed}, results) == pages


def test_the_page_has_every_kind_and_every_outcome(hard):
    assert set(hard.KINDS) == {*hard_kinds.KINDS, hard_problems.OWN_LOSS_TERMS}
    good = {"certified", "refused", "no verdict", "declared"}
    assert set(hard.FAULTS) == set(hard_problems.STATUSES) - good


def test_the_share_of_ordinary_problems_is_the_one_of_the_page(pages):
    share = np.array([kind[0] for kind in hard_kinds.KINDS.values()])
    assert "Two in five problems are ordinary" in pages["hard_inputs.md"]
    assert share[list(hard_kinds.KINDS).index("ordinary")] / share.sum() == pytest.approx(
        0.4, abs=0.01
    )


@WHICH
@pytest.mark.parametrize("side", ["before", "after"])
def test_counts_of_kinds_add_up_to_those_of_all(results, side, which):
    record = results[side][which]
    kinds = [counts for kind, counts in record["counts"].items() if kind != "all"]
    for status in hard_problems.STATUSES:
        assert sum(counts[status] for counts in kinds) == record["counts"]["all"][status]
    assert sum(record["counts"]["all"].values()) == record["n"]
    assert len(record["bad"]) == sum(record["counts"]["all"][name] for name in FAULTS)


FAULTS = ("false attribute", "broken law", "wrong", "raised")


@WHICH
def test_both_sides_had_the_same_problems(results, which):
    before, after = (results[side][which] for side in ("before", "after"))
    for record in (before, after):
        ends = [0, *(end for _, end in record["seeds"])]
        assert [[a, b] for a, b in pairwise(ends)] == record["seeds"]
    assert before["seeds"][-1][1] == after["seeds"][-1][1]
    for kind, counts in before["counts"].items():
        if kind != "all":
            assert sum(counts.values()) == sum(after["counts"][kind].values())


def test_a_recount_is_added_to_the_counts_of_other_seeds():
    parts = [hard_problems.run_all(seeds, fairness=False) for seeds in (range(3), range(3, 6))]
    added = hard_problems.added(hard_problems.added({}, parts[0]), parts[1])
    assert added["seeds"] == [[0, 3], [3, 6]]
    assert added["n"] == 6
    assert added["counts"] == hard_problems.count(parts[0] + parts[1])
