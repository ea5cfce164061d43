"""The sentences of docs/coverage.md, against the tables beside it."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.test_examples import ROOT

PAGE = ROOT / "docs" / "coverage.md"
TABLES = ROOT / "docs" / "coverage"
SMALL = {"10, 10", "10, 100", "15, 100", "20, 20", "20, 100", "20, 20, 20, 20"}


def tables_of(name):
    """Cells of each table of a page: a dict of column to text for each row."""
    parts = re.split(r"^\*\*(.+)\*\*$", (TABLES / name).read_text("utf-8"), flags=re.M)
    found = {}
    for caption, text in zip(parts[1::2], parts[2::2], strict=True):
        lines = [line.strip("| ") for line in text.splitlines() if line.startswith("|")]
        head, _, *rows = [re.split(r" *\| *", line) for line in lines]
        found[caption] = [dict(zip(head, row, strict=True)) for row in rows]
    return found


def shares(rows, column, **where):
    """Shares in a column of the rows that have these values, "none" left out."""
    chosen = [row for row in rows if all(row[key] in value for key, value in where.items())]
    cells = [row[column] for row in chosen if row[column] != "none"]
    return [float(re.match(r"\**([\d.]+)", cell)[1]) for cell in cells]


@pytest.fixture(scope="module")
def report():
    return tables_of("report.md")


def test_the_reports_are_of_2000_simulations():
    assert (TABLES / "report.md").read_text("utf-8").startswith("2000 simulations")


def test_every_interval_of_a_group_that_is_too_narrow_is_of_a_kind_that_is_named(report):
    for row in report["First group"]:
        size, errors = row["rows of the groups"], row["errors"]
        for column in ("mae", "mse", "rmse", "mean_residual", "r2", "medae", "share_above@1.5"):
            if not row[column].startswith("**"):
                continue
            named = {"mae": errors == "skewed", "r2": size in SMALL}
            named |= dict.fromkeys(("mse", "rmse"), errors in ("skewed", "heavy"))
            assert named.get(column), (row, column)


def test_the_ranges_are_those_of_the_tables(report):
    first, text = report["First group"], " ".join(PAGE.read_text("utf-8").split())

    def said(words, found):
        low, high = map(float, re.search(words, text).groups())
        assert low <= min(found) <= low + 0.01, words
        assert high - 0.01 <= max(found) <= high, words

    size = "rows of the groups"
    few, twenty = (
        {row[size] for row in first if re.match(pattern, row[size])}
        for pattern in (r"(10|15|20|30),", "20,")
    )
    fifty = {row[size] for row in first if row[size].startswith("50,")}
    mae = [x for x in shares(first, "mae", errors={"skewed"}, **{size: few}) if x <= 0.92]
    said(r"skewed MAE contain the truth in (0\.\d+) to (0\.\d+)", mae)
    said(
        r"skewed MSE do in (0\.\d+) to (0\.\d+) at 20 rows",
        shares(first, "mse", errors={"skewed"}, **{size: twenty}),
    )
    said(
        r"and in (0\.\d+) to (0\.\d+) at 50",
        shares(first, "mse", errors={"skewed"}, **{size: fifty}),
    )
    heavy = shares(first, "mse", errors={"heavy"}, **{size: twenty | fifty})
    said(r"heavy MSE in (0\.\d+) to (0\.\d+)", [x for x in heavy if x <= 0.92])
    r2 = [x for x in shares(first, "r2") if x < 0.92]
    said(r"too narrow\*\*, (0\.\d+) to (0\.\d+)", r2)
    both = report["Difference"] + report["Ratio"]
    narrow = [
        (row["errors"], share)
        for row in both
        for column in ("mae", "mse", "rmse", "mean_residual", "r2", "medae", "share_above@1.5")
        if column in row
        for share in shares([row], column)
        if share < 0.92
    ]
    assert {errors for errors, _ in narrow} == {"skewed"}
    said(r"a group has few rows: too narrow\*\*, (0\.\d+) to (0\.\d+)", [s for _, s in narrow])


# --------------------------------------------------------------------------------------------------
# Comparisons
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def comparison():
    return tables_of("comparison.md")


ONE_SIDED = ["Differences, all rows", "Differences, group a"]
MEANS = ("mae", "rmse", "r2")


def test_the_comparisons_are_of_2000_simulations():
    assert (TABLES / "comparison.md").read_text("utf-8").startswith("2000 simulations")


def test_every_interval_of_a_comparison_outside_the_range_is_of_a_kind_that_is_named(comparison):
    for caption, rows in comparison.items():
        for row, column in itertools.product(rows, list(rows[0])[5:]):
            if not row[column].startswith("**"):
                continue
            (share,) = shares([row], column)
            clustered = row["what they are"] != "rows"
            few = row["units"] in ("20", "40")
            one_sided = caption in ONE_SIDED
            of_cluster = row["feature left out"] == "of the cluster"
            named = (
                (clustered and row["clusters given"] == "no")
                or (share > 0.98 and (column == "medae" or (column == "bias" and one_sided)))
                or (column in MEANS and one_sided and clustered and (of_cluster or few))
                or (column in ("rmse", "r2") and one_sided and row["units"] == "200")
                or (column == "simultaneous" and clustered and few)
            )
            assert named, (caption, row, column)


def said_range(words):
    """Two shares that the page states after some words."""
    text = " ".join(PAGE.read_text("utf-8").split())
    return tuple(map(float, re.search(words + r".*?(0\.\d+) to (0\.\d+)", text).groups()))


def assert_within(words, found):
    low, high = said_range(words)
    assert low <= min(found) <= low + 0.01, (words, found)
    assert high - 0.01 <= max(found) <= high, (words, found)


def test_the_ranges_of_comparisons_are_those_of_the_tables(comparison):
    whole = comparison["Differences, all rows"]
    clusters = {"what they are": {"clusters of one group", "groups within clusters"}}
    told, untold = {"clusters given": {"yes"}}, {"clusters given": {"no"}}
    assert_within("clusters not given: far too narrow", shares(whole, "mae", **clusters, **untold))
    assert_within(r"With `clusters=` they do", shares(whole, "mae", **clusters, **told))
    one_sided = [row for caption in ONE_SIDED for row in comparison[caption]]

    def narrow(**where):
        return [x for c in MEANS for x in shares(one_sided, c, **where) if x <= 0.92]

    of_cluster, of_row = ({"feature left out": {f"of the {unit}"}} for unit in ("cluster", "row"))
    assert_within("constant within clusters left out", narrow(**clusters, **told, **of_cluster))
    assert_within("A feature of the rows left out", narrow(**clusters, **told, **of_row))
    rows = {"what they are": {"rows"}}
    assert_within("RMSE and R² of 200 independent", narrow(**rows, units={"200"}))
    assert not narrow(**rows, units={"1000"})
    assert not narrow(**clusters, **told, **of_row, units={"100"})
    together = shares(comparison["Differences, all of them"], "simultaneous", units={"20", "40"})
    assert_within("Simultaneous intervals between 20 or 40", together)


# --------------------------------------------------------------------------------------------------
# Reports of rows in clusters
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clusters():
    assert (TABLES / "clusters.md").read_text("utf-8").startswith("2000 simulations")
    return tables_of("clusters.md")


OF_REPORTS = ("mae", "mse", "rmse", "mean_residual", "medae")


def test_intervals_of_reports_between_clusters_hold_and_others_are_named(clusters):
    for caption, rows in clusters.items():
        for row, column in itertools.product(rows, OF_REPORTS):
            if row[column].startswith("**"):
                assert row["clusters given"] == "no", (caption, row, column)
            if "none" in row[column]:
                assert (row["units"], row["clusters given"]) == ("20", "yes")
                assert column in ("mse", "rmse")


def test_the_ranges_of_reports_of_clusters_are_those_of_the_tables(clusters):
    told, untold = {"clusters given": {"yes"}}, {"clusters given": {"no"}}
    whole = clusters["Reports, all rows"]
    one_sided = whole + clusters["Reports, group a"]
    held = [share for column in OF_REPORTS for share in shares(one_sided, column, **told)]
    assert_within("from 20 clusters on, intervals over all rows and of one group", held)
    rows = clusters["Reports, difference"]
    between = [share for column in OF_REPORTS for share in shares(rows, column, **told)]
    assert_within("those of the difference of the groups in", between)
    section = "## Reports of rows in clusters.*?"
    assert_within(section + "not given: far too narrow", shares(whole, "mae", **untold))
    assert_within(section + "those of the mean residual", shares(whole, "mean_residual", **untold))


# --------------------------------------------------------------------------------------------------
# Coefficients
# --------------------------------------------------------------------------------------------------

COEFFICIENTS = ("x0", "x1", "x2", "(intercept)")
OF_GROUPS = ("MAE of a group", "difference of MAE")
IN_ROWS = {"size": {"50 rows", "200 rows"}}
GIVEN = {"size": {"40 clusters"}, "weights of": {"clusters"}}
NOT_GIVEN = {"size": {"40 clusters"}, "weights of": {"rows"}}

# Kinds of intervals outside the range: the words of the page before the two shares, True where the
# intervals are too wide, the rows of the table, its columns.
NAMED_COEFFICIENTS = [
    (
        "Squared and mixed losses of independent rows",
        False,
        IN_ROWS | {"loss_mix": {"0", "0.5"}},
        COEFFICIENTS,
    ),
    ("Absolute loss of 50 rows", True, IN_ROWS | {"loss_mix": {"1"}}, COEFFICIENTS),
    ("40 clusters, clusters given", False, GIVEN, COEFFICIENTS),
    ("MAE of the smaller group of independent rows", False, IN_ROWS, OF_GROUPS[:1]),
    ("Rows in clusters, clusters not given", False, NOT_GIVEN, (*COEFFICIENTS, *OF_GROUPS)),
]


@pytest.fixture(scope="module")
def coefficients():
    assert (TABLES / "coefficients.md").read_text("utf-8").startswith("2000 simulations")
    (rows,) = tables_of("coefficients.md").values()
    return rows


def cells_of(rows, wide, where, columns):
    """Rows and columns of the cells of a kind that are outside the range."""
    chosen = [row for row in rows if all(row[key] in value for key, value in where.items())]
    bold = [(row, c) for row in chosen for c in columns if row[c].startswith("**")]
    return [(row, c) for row, c in bold if (shares([row], c)[0] > 0.98) == wide]


def test_every_interval_of_coefficients_outside_the_range_is_of_a_kind_that_is_named(coefficients):
    named = [cell for _, *kind in NAMED_COEFFICIENTS for cell in cells_of(coefficients, *kind)]
    for row, column in itertools.product(coefficients, (*COEFFICIENTS, *OF_GROUPS)):
        if row[column].startswith("**"):
            assert (row, column) in named, (row, column)
        if "none" in row[column]:
            assert row["size"] == "50 rows"
            assert column in OF_GROUPS


@pytest.mark.parametrize("kind", NAMED_COEFFICIENTS, ids=lambda kind: kind[0])
def test_the_ranges_of_coefficients_are_those_of_the_table(coefficients, kind):
    words, *which = kind
    found = [share for row, c in cells_of(coefficients, *which) for share in shares([row], c)]
    assert_within(f"## Coefficients.*{words}", found)


def test_with_clusters_given_coefficients_are_within_what_the_page_says(coefficients):
    given = [share for c in ("x0", "(intercept)") for share in shares(coefficients, c, **GIVEN)]
    given += shares(coefficients, "MAE of a group", **GIVEN)
    assert_within("With `clusters=` these are in", given)
