"""What the results file of the study says, a quantity at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

L2, L1 = 0.0, 1.0
BETWEEN = (0.2, 0.7)  # ways from L2 to L1 that are near neither
Record = dict[str, Any]


def is_real(record: Record) -> bool:
    """Whether a data set was recorded, not drawn."""
    return record["domain"] != "simulated"


def is_between(record: Record) -> bool:
    """Whether the fit of the middle is near neither end."""
    low, high = BETWEEN
    return low <= record["way"]["middle"] <= high


def level(record: Record, mix: float) -> Record:
    """What was measured under a mix."""
    return next(found for found in record["mixes"] if found["loss_mix"] == mix)


def base(record: Record, quantity: str) -> float:
    """What a quantity is shown in percent of: the MAE or the MSE of L2 over all rows."""
    return level(record, L2)["rmse"] ** 2 if quantity == "mse" else level(record, L2)["mae"]


def contrast(record: Record, quantity: str, mix: float, reference: float = L2) -> list[float]:
    """[difference, low, high] in percent."""
    pair = next(
        found
        for found in record["contrasts"]
        if (found["mix"], found["reference"]) == (mix, reference)
    )
    return [100 * value / base(record, quantity) for value in pair[quantity]]


def sign(interval: Sequence[float]) -> int:
    """-1 or 1 where the interval lies below or above 0, else 0."""
    return int(interval[1] > 0) - int(interval[2] < 0)


def gap(record: Record, loss: str, mix: float) -> float:
    """The difference of the two groups that were named under L2, in the unit of y."""
    high, low = record["pairs"][loss]
    groups = level(record, mix)["groups"]
    key = {"mae": "mae", "residual": "mean residual"}[loss]
    return groups[high][key] - groups[low][key]


def turned(record: Record, quantity: str, mix: float) -> bool:
    """Whether a difference of two groups, positive under L2, has become negative."""
    return quantity.endswith(" gap") and gap(record, quantity.removesuffix(" gap"), mix) < 0


def worst_mae(found: Record) -> float:
    """The largest MAE of any group."""
    return max(group["mae"] for group in found["groups"].values())


def spread_mae(found: Record) -> float:
    """The largest MAE of any group minus the smallest."""
    return worst_mae(found) - min(group["mae"] for group in found["groups"].values())


MEASURES: dict[str, Callable[[Record], float]] = {
    "MAE": lambda found: found["mae"],
    "RMSE": lambda found: found["rmse"],
    "largest MAE of a group": worst_mae,
    "spread of MAE": spread_mae,
}


def best_mix(record: Record, measure: Callable[[Record], float]) -> float:
    """The mix of the grid with the smallest value; of equal ones the first."""
    return min(record["mixes"], key=measure)["loss_mix"]


def gain(record: Record, measure: Callable[[Record], float]) -> float:
    """How far the best mix is below the better end, in percent of L2's MAE or RMSE."""
    ends = min(measure(level(record, L2)), measure(level(record, L1)))
    key = "rmse" if measure is MEASURES["RMSE"] else "mae"
    return 100 * (ends - min(map(measure, record["mixes"]))) / level(record, L2)[key]


def real(results: Record) -> list[Record]:
    """The data sets that were recorded, not drawn."""
    return [record for record in results["data"] if is_real(record)]


def detected(
    results: Record, quantity: str, direction: int, mix: float, reference: float = L2
) -> list[Record]:
    """The real data sets whose interval lies below (-1) or above (1) 0, or holds it (0)."""
    return [
        record
        for record in real(results)
        if sign(contrast(record, quantity, mix, reference)) == direction
    ]
