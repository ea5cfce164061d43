"""The two data sets with groups of images."""

from __future__ import annotations

import builtins

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, QuantileRegressor

from skfairloss.datasets import join_patches, load_photo_patches, make_pixel_groups


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("minority", ["dark", "bright"])
def test_groups_have_exactly_their_share_and_level(share, minority):
    X, y, groups = make_pixel_groups(
        60, minority=minority, minority_share=share, levels=(-2.0, 5.0), random_state=1
    )
    assert X.shape == (60, 1)
    assert (groups == minority).sum() == round(share * 60)
    assert set(groups) == {"dark", "bright"}
    np.testing.assert_array_equal(y, np.where(groups == "dark", -2.0, 5.0))


def test_the_best_constant_of_the_discussion_is_what_linear_models_find():
    X, y, groups = make_pixel_groups(200, minority_share=0.3, random_state=0)
    l2 = LinearRegression().fit(X, y).predict(X)
    np.testing.assert_allclose(l2, 0.9 - 0.6 * 0.3, rtol=1e-14)
    l1 = QuantileRegressor(alpha=0.0).fit(X, y).predict(X)
    np.testing.assert_allclose(l1, 0.9, rtol=1e-12)
    errors = [np.abs(y - l2)[groups == group].mean() for group in ("dark", "bright")]
    np.testing.assert_allclose(errors, [0.42, 0.18], rtol=1e-12)


def test_revealed_groups_can_be_fitted_exactly():
    X, y, groups = make_pixel_groups(50, reveal_group=1.0, random_state=0)
    np.testing.assert_array_equal(X[:, 0], np.where(groups == "dark", -0.5, 0.5))
    np.testing.assert_allclose(LinearRegression().fit(X, y).predict(X), y, rtol=1e-12)


def test_a_share_of_each_group_is_revealed():
    X, _, groups = make_pixel_groups(100, reveal_group=0.4, random_state=0)
    for group, value in (("dark", -0.5), ("bright", 0.5)):
        feature = X[groups == group, 0]
        assert (feature == value).sum() == round(0.4 * len(feature))
        assert (feature == 0).sum() == len(feature) - round(0.4 * len(feature))


@pytest.mark.parametrize("group", ["dark", "bright"])
def test_outliers_are_shifted_rows_of_the_named_group(group):
    options = {"n_samples": 40, "n_pixels": 3, "random_state": 4}
    _, y, groups = make_pixel_groups(
        **options, outlier_group=group, outlier_share=0.25, outlier_shift=10.0
    )
    shift = y - np.where(groups == "dark", 0.3, 0.9)[:, None]
    outliers = np.isclose(shift, 10.0).all(axis=1)
    assert outliers.sum() == round(0.25 * (groups == group).sum())
    assert set(groups[outliers]) == {group}
    np.testing.assert_array_equal(shift[~outliers], 0.0)


def test_noise_may_differ_between_groups_and_is_scaled_by_its_standard_deviation():
    options = {"n_samples": 4000, "n_pixels": 2, "random_state": 3}
    _, y, groups = make_pixel_groups(**options, noise=(0.0, 0.2))
    np.testing.assert_array_equal(y[groups == "dark"], 0.3)
    assert np.std(y[groups == "bright"]) == pytest.approx(0.2, rel=0.05)
    _, twin, _ = make_pixel_groups(**options, noise=(0.0, 0.4))
    np.testing.assert_allclose(
        twin - 0.9, 2 * (y - 0.9) + np.where(groups == "dark", 0.6, 0)[:, None]
    )


def test_the_same_random_state_gives_the_same_data():
    first, second, other = (
        make_pixel_groups(30, noise=0.1, random_state=seed) for seed in (0, 0, 1)
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[1], other[1])
    generated = make_pixel_groups(30, noise=0.1, random_state=np.random.default_rng(0))
    np.testing.assert_array_equal(first[1], generated[1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_samples": 1}, ValueError, "n_samples must be an integer >= 2, got 1"),
        ({"n_samples": 10.0}, ValueError, "n_samples must be an integer >= 2, got 10.0"),
        ({"n_pixels": 0}, ValueError, "n_pixels must be an integer >= 1, got 0"),
        ({"minority": "grey"}, ValueError, "minority must be 'dark' or 'bright', got 'grey'"),
        ({"outlier_group": "both"}, ValueError, "outlier_group must be"),
        ({"minority_share": 0.6}, ValueError, r"a number in \[0, 0\.5\], got 0\.6"),
        ({"minority_share": 0.001}, ValueError, "no row at all"),
        ({"outlier_share": -0.1}, ValueError, r"outlier_share must be a number in \[0, 1\]"),
        ({"reveal_group": float("nan")}, ValueError, r"reveal_group must be a number in \[0, 1\]"),
        ({"reveal_group": "yes"}, ValueError, "reveal_group must be a number .* got 'yes'"),
        ({"levels": (0.9, 0.3)}, ValueError, "dark < bright"),
        ({"levels": (0.9,)}, ValueError, "levels must be finite, one number for each group"),
        ({"levels": ("a", "b")}, TypeError, "levels must be numbers"),
        ({"noise": -1.0}, ValueError, "noise must be >= 0, got -1.0"),
        ({"noise": (0.1, np.inf)}, ValueError, "noise must be finite"),
        ({"outlier_shift": None}, ValueError, "outlier_shift must be finite"),
    ],
)
def test_pixel_groups_refuse_parameters_out_of_range(options, error, message):
    with pytest.raises(error, match=message):
        make_pixel_groups(**options)


@pytest.mark.parametrize(("visible", "half"), [("left", (8, 4)), ("top", (4, 8))])
def test_joined_patches_are_the_grey_photographs(visible, half):
    from sklearn.datasets import load_sample_images

    patches = load_photo_patches(visible=visible, downsample=1)
    assert patches.visible_shape == patches.hidden_shape == half
    images = join_patches(patches.data, patches.target, visible=visible)
    assert images.shape == (8480, *patches.image_shape)
    photo = load_sample_images().images[0]
    grey = np.tensordot(photo, [0.299, 0.587, 0.114], axes=1) / 255
    np.testing.assert_allclose(images[0], grey[:8, :8])
    np.testing.assert_allclose(images[1], grey[:8, 8:16])
    np.testing.assert_allclose(images[80], grey[8:16, :8])
    assert patches.photo[80] == "china"
    assert patches.photo[-1] == "flower"
    assert (patches.photo == "china").sum() == 4240


def test_reduced_photographs_are_means_of_squares():
    whole = load_photo_patches(patch_size=16, downsample=1)
    reduced = load_photo_patches(patch_size=8, downsample=2)
    assert len(whole.data) == len(reduced.data) == 2080
    large = join_patches(whole.data, whole.target)
    small = join_patches(reduced.data, reduced.target)
    np.testing.assert_allclose(small[7, 2, 3], large[7, 4:6, 6:8].mean())
    np.testing.assert_allclose(small.mean(axis=(1, 2)), large.mean(axis=(1, 2)))


def test_patch_groups_split_the_visible_brightness_at_its_median():
    patches = load_photo_patches()
    brightness = patches.data.mean(axis=1)
    dark = patches.sensitive_features == "dark image"
    assert set(patches.sensitive_features) == {"dark image", "bright image"}
    assert dark.sum() == (~dark).sum() == 1040
    assert brightness[dark].max() < np.median(brightness) <= brightness[~dark].min()
    assert patches.data.min() >= 0
    assert patches.target.max() <= 1


def test_names_of_pixels_tell_row_and_column():
    patches = load_photo_patches(patch_size=4, visible="left")
    assert patches.feature_names[:3] == ["pixel_0_0", "pixel_0_1", "pixel_1_0"]
    assert patches.target_names[:3] == ["pixel_0_2", "pixel_0_3", "pixel_1_2"]
    top = load_photo_patches(patch_size=4, visible="top")
    assert top.feature_names[-1] == "pixel_1_3"
    assert top.target_names[0] == "pixel_2_0"


def test_as_frame_and_return_x_y_give_the_same_values():
    bunch = load_photo_patches()
    data, target, groups = load_photo_patches(return_X_y=True, as_frame=True)
    assert isinstance(data, pd.DataFrame)
    np.testing.assert_array_equal(data.to_numpy(), bunch.data)
    np.testing.assert_array_equal(target.to_numpy(), bunch.target)
    assert data.columns.tolist() == bunch.feature_names
    assert groups.tolist() == bunch.sensitive_features.tolist()
    frame = load_photo_patches(as_frame=True).frame
    assert frame.shape == (2080, 65)
    assert bunch.frame is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"patch_size": 7}, ValueError, "patch_size must be an even integer >= 2, got 7"),
        ({"patch_size": 0}, ValueError, "patch_size must be an even integer >= 2, got 0"),
        ({"patch_size": 8.0}, ValueError, "patch_size must be an even integer >= 2, got 8.0"),
        ({"patch_size": 500}, ValueError, "patch_size=500 is larger than .* 'china'"),
        ({"visible": "right"}, ValueError, "visible must be 'left' or 'top', got 'right'"),
        ({"downsample": 0}, ValueError, "downsample must be an integer >= 1, got 0"),
    ],
)
def test_photo_patches_refuse_parameters_out_of_range(options, error, message):
    with pytest.raises(error, match=message):
        load_photo_patches(**options)


@pytest.mark.parametrize(
    "shapes", [((2, 8), (2, 4)), ((2, 6), (2, 6)), ((8,), (8,)), ((2, 0),) * 2]
)
def test_halves_that_make_no_square_are_refused(shapes):
    with pytest.raises(ValueError, match="X and y must both have the shape"):
        join_patches(*map(np.zeros, shapes))


def test_without_pillow_the_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without_pillow(name, *args, **kwargs):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(ImportError, match=r"Pillow.*skfairloss\[plot\]"):
        load_photo_patches()
