"""The loss family against its definition: values, derivative, conjugate and proximal point."""

from __future__ import annotations

import numpy as np
import pytest

from skfairloss._core.losses import MixedLoss

MIXES, QUANTILES = (0.0, 1e-6, 0.3, 0.5, 0.9, 1 - 1e-6, 1.0), (0.05, 0.5, 0.8)
every_loss = pytest.mark.parametrize(
    "loss", [MixedLoss(mix, tau) for mix in MIXES for tau in QUANTILES], ids=str
)
Z = np.array([-7.0, -1.0, -0.3, -1e-3, 1e-3, 0.2, 1.0, 5.5])


@pytest.mark.parametrize(
    ("loss_mix", "quantile", "z", "value", "derivative"),
    [
        (0.0, 0.5, -3.0, 9.0, -6.0),
        (0.0, 0.9, 2.0, 4.0, 4.0),
        (1.0, 0.5, -3.0, 3.0, -1.0),
        (1.0, 0.5, 0.1, 0.1, 1.0),
        (1.0, 0.9, 2.0, 3.6, 1.8),  # twice the pinball loss
        (1.0, 0.9, -2.0, 0.4, -0.2),
        (0.25, 0.5, 2.0, 3.5, 3.25),
        (0.25, 0.2, -2.0, 3.8, -3.4),
        (0.25, 0.2, 0.0, 0.0, -0.15),
    ],
)
def test_values_and_derivatives_are_those_worked_out_by_hand(
    loss_mix, quantile, z, value, derivative
):
    loss = MixedLoss(loss_mix, quantile)
    assert loss.value(z) == pytest.approx(value, rel=1e-14)
    assert loss.derivative(z) == pytest.approx(derivative, rel=1e-14)
    assert loss.value(np.full((2, 3), z)).shape == (2, 3)


@every_loss
def test_the_loss_is_zero_at_zero_and_positive_elsewhere(loss):
    assert loss.value(0.0) == 0.0
    assert (loss.value(Z) > 0).all()


@every_loss
def test_the_derivative_is_the_finite_difference_away_from_the_kink(loss):
    step = 1e-4  # keeps the sign of every z; the central difference of a parabola is exact
    slope = (loss.value(Z + step) - loss.value(Z - step)) / (2 * step)
    np.testing.assert_allclose(loss.derivative(Z), slope, rtol=1e-9, atol=1e-10)


@every_loss
def test_the_one_sided_slopes_at_zero_are_the_bounds_and_their_middle_is_the_derivative(loss):
    step = 1e-9
    assert loss.value(step) / step == pytest.approx(loss.upper, abs=1e-8)
    assert loss.value(-step) / -step == pytest.approx(loss.lower, abs=1e-8)
    assert loss.derivative(0.0) == pytest.approx((loss.upper + loss.lower) / 2, abs=1e-15)


@every_loss
def test_the_conjugate_is_the_largest_value_found_by_search(loss):
    for s in np.linspace(-3.0, 3.0, 25):
        inside = -2 * (1 - loss.quantile) <= s <= 2 * loss.quantile
        if loss.loss_mix == 1 and not inside:
            assert loss.conjugate(s) == np.inf
            continue
        reach = 3.0 / max(1 - loss.loss_mix, 1e-7)
        low, high = -reach, reach
        for _ in range(12):  # the maximand is concave: zoom in on the best point
            z = np.linspace(low, high, 201)
            best = np.argmax(s * z - loss.value(z))
            low, high = z[max(best - 1, 0)], z[min(best + 1, 200)]
        found = np.max(s * z - loss.value(z))
        assert loss.conjugate(s) == pytest.approx(found, rel=1e-9, abs=1e-9)


@every_loss
def test_fenchel_young_holds_with_equality_at_the_derivative(loss):
    z = np.append(Z, 0.0)
    s = loss.derivative(z)
    if loss.loss_mix == 1:  # the ends of the interval, free of rounding
        s = np.clip(s, loss.lower, loss.upper)
    gap = loss.value(z) + loss.conjugate(s) - s * z
    np.testing.assert_allclose(gap, 0.0, atol=1e-13 * (1 + loss.value(z)).max())


@every_loss
def test_fenchel_young_is_strict_away_from_the_derivative(loss):
    for z, s in zip(Z, loss.derivative(Z), strict=True):
        for shift in (-0.3, 0.3):
            assert loss.value(z) + loss.conjugate(s + shift) - (s + shift) * z > 1e-5


@pytest.mark.parametrize("step", [0.1, 1.0, 40.0])
@every_loss
def test_no_point_is_better_than_the_proximal_point(loss, step):
    def objective(x, z):
        return step * loss.value(x) + 0.5 * (x - z) ** 2

    for z in np.append(Z, 0.0):
        x = loss.prox(z, step)
        nearby = x + np.array([-1.0, -1e-2, -1e-4, 1e-4, 1e-2, 1.0])
        assert (objective(nearby, z) > objective(x, z)).all()


@pytest.mark.parametrize("quantile", QUANTILES)
def test_the_proximal_point_is_zero_exactly_on_the_interval_of_subgradients(quantile):
    loss, step = MixedLoss(0.4, quantile), 2.0
    inside = step * np.linspace(loss.lower, loss.upper, 9)
    np.testing.assert_allclose(loss.prox(inside, step), 0.0, atol=1e-15)
    outside = step * np.array([loss.lower - 1e-3, loss.upper + 1e-3])
    assert (np.sign(loss.prox(outside, step)) == [-1, 1]).all()


@pytest.mark.parametrize("quantile", QUANTILES)
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_the_mix_tends_to_its_ends(end, quantile):
    limit = MixedLoss(end, quantile)
    for distance in (1e-3, 1e-6, 1e-9):
        near = MixedLoss(abs(end - distance), quantile)
        atol = 60 * distance  # |z| + z² is at most 56 on Z
        np.testing.assert_allclose(near.value(Z), limit.value(Z), rtol=0, atol=atol)
        np.testing.assert_allclose(near.derivative(Z), limit.derivative(Z), rtol=0, atol=atol)
        np.testing.assert_allclose(near.prox(Z, 0.7), limit.prox(Z, 0.7), rtol=0, atol=atol)


@pytest.mark.parametrize("quantile", QUANTILES)
def test_the_conjugate_at_loss_mix_1_is_zero_inside_its_interval_and_infinite_outside(quantile):
    loss = MixedLoss(1.0, quantile)
    low, high = 2 * quantile - 2, 2 * quantile
    np.testing.assert_array_equal(loss.conjugate(np.linspace(low, high, 7)[1:-1]), 0.0)
    np.testing.assert_array_equal(loss.conjugate([low - 1e-12, high + 1e-12, -np.inf]), np.inf)
    np.testing.assert_array_equal(loss.conjugate([loss.lower, loss.upper]), 0.0)


@pytest.mark.parametrize("quantile", QUANTILES)
def test_the_conjugate_below_loss_mix_1_grows_into_the_indicator(quantile):
    outside, inside = 2 * quantile + 0.1, 2 * quantile - 0.1
    values = [MixedLoss(1 - e, quantile).conjugate(outside) for e in (1e-2, 1e-4, 1e-6)]
    assert 50 * values[0] < values[1] < values[2] / 50
    assert MixedLoss(1 - 1e-6, quantile).conjugate(inside) == 0.0


@pytest.mark.parametrize("s", [-0.7, 0.0, 0.4, 3.0])
def test_the_excess_is_the_signed_distance_from_the_interval_of_subgradients(s):
    loss = MixedLoss(0.5, 0.2)  # the interval is [-0.8, 0.2]
    expected = {-0.7: 0.0, 0.0: 0.0, 0.4: 0.2, 3.0: 2.8}[s]
    assert loss.excess(s) == pytest.approx(expected, abs=1e-15)


@every_loss
def test_a_reflection_of_the_quantile_is_a_reflection_of_the_loss(loss):
    twin = MixedLoss(loss.loss_mix, 1 - loss.quantile)
    np.testing.assert_allclose(twin.value(-Z), loss.value(Z), rtol=1e-14)
    np.testing.assert_allclose(twin.prox(-Z, 0.3), -loss.prox(Z, 0.3), rtol=1e-14)


@every_loss
def test_the_absolute_and_the_squared_part_scale_with_their_own_power(loss):
    square = (1 - loss.loss_mix) * Z**2
    np.testing.assert_allclose(
        loss.value(1e3 * Z) - 1e6 * square, 1e3 * (loss.value(Z) - square), rtol=1e-9, atol=1e-7
    )
