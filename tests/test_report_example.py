"""The example on reports by group says what its numbers say."""

from __future__ import annotations

import re

import pytest

from tests.test_examples import PNG, run

ROW = re.compile(r"^(L2|L1|neighbours) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+)$", re.M)


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    text = run("examples/plot_report_by_group.py", cwd=folder)
    assert (folder / "report_by_group.png").read_bytes().startswith(PNG)
    return text


def part(text, title):
    """Rows and verdict below a title: model, MAE, group, difference, lower, upper; detected."""
    below = text.split(f"{title}\n", 1)[1].split("difference detected: ", 1)
    rows = {m[1]: (m[3], *map(float, (m[4], m[5], m[6]))) for m in ROW.finditer(below[0])}
    return rows, below[1].splitlines()[0].split(", ")


@pytest.mark.parametrize("title", ["Groups by ink", "Groups by digit"])
def test_a_difference_is_detected_where_its_interval_does_not_begin_at_0(printed, title):
    rows, detected = part(printed, title)
    assert list(rows) == ["L2", "L1", "neighbours"]
    assert detected == [name for name, row in rows.items() if row[2] > 0]
    assert all(low <= difference <= high for _, difference, low, high in rows.values())


def test_the_words_of_the_example_follow_from_its_numbers(printed):
    ink, detected = part(printed, "Groups by ink")
    digit, detected_by_digit = part(printed, "Groups by digit")
    assert len({row[0] for row in ink.values()}) > 1, "not the same worse-off group"
    assert detected == ["L1"], "detected under L1, not under L2 and nearest neighbours"
    assert ink["L1"][2] < 0.3 * ink["L1"][1], "the lower end under L1 is close to 0"
    assert min(ink["L1"][3], ink["L2"][3]) - ink["L1"][2] > 0.6 * (ink["L1"][3] - ink["L2"][2])
    assert detected_by_digit == list(digit)
    for name, (_, difference, low, high) in digit.items():
        assert low > 0.5 * difference, "far from 0"
        assert high - low > ink[name][3] - ink[name][2], "wider intervals"
