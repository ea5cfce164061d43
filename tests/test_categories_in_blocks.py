"""The order of groups of rows elsewhere: that of categories which all blocks state."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from skfairloss import PixelLossRegressor, group_report
from skfairloss.fairness import WorstGroupLoss
from skfairloss.report import GroupReport
from skfairloss.rows import from_blocks, from_parquet

SIZES = ["small", "large", "huge", "none"]  # not as sorted; the last is of no row
N = 4000


def table(sizes, seed=0):
    """Features, targets, and groups of these categories, in some of which errors are larger."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(3, size=N)
    x = rng.normal(size=(N, 2))
    return pd.DataFrame(
        {
            "a": x[:, 0],
            "b": x[:, 1],
            "y": x @ [1.0, 2.0] + (1 + codes) * rng.standard_t(3, size=N),
            "size": pd.Categorical.from_codes(codes, sizes),
            "town": pd.Categorical(rng.choice(["x", "y"], N), ["y", "x"]),
        }
    )


def block_of(rows, names, weights=None):
    own = {"X": rows[["a", "b"]], "y": rows["y"], "sensitive_features": rows[names]}
    return own if weights is None else {**own, "sample_weight": weights}


def blocks(parts, names, _folder):
    return {"X": from_blocks(lambda i: block_of(parts[i], names), len(parts))}


def files(parts, names, folder):
    for i, part in enumerate(parts):
        part.to_parquet(folder / f"{i}.parquet", row_group_size=700)
    options = {"features": ["a", "b"], "target": "y", "sensitive_features": names}
    return {"X": from_parquet(folder, **options)}


def collections(parts, names, _folder):
    dd = pytest.importorskip("dask.dataframe")
    frame = dd.from_map(lambda part: part, parts, meta=parts[0].iloc[:0])
    return {"X": frame[["a", "b"]], "y": frame["y"], "sensitive_features": frame[names]}


every_kind = pytest.mark.parametrize("kind", [blocks, files, collections])


def groups_of(given):
    """The groups of a fit and of a report, each in its order."""
    model = PixelLossRegressor(0.0).fit(**given)
    report = GroupReport.from_estimator(model, **given, n_boot=None)
    return model.groups_.tolist(), report.by_group.index.tolist()


@every_kind
@pytest.mark.parametrize("names", ["size", ["size", "town"]], ids=["one", "two"])
@pytest.mark.parametrize("ordered", [False, True])
def test_groups_have_the_order_of_their_categories_as_in_memory(kind, names, ordered, tmp_path):
    data = table(SIZES)
    data["size"] = data["size"].cat.set_categories(SIZES, ordered=ordered)
    data = data.sort_values("size", ascending=False, kind="stable")  # no block has all of them
    data.index = range(N)
    parts = [data[:1000], data[1000:2500], data[2500:]]
    found = groups_of(kind(parts, names, tmp_path))
    memory = PixelLossRegressor(0.0).fit(
        data[["a", "b"]], data["y"], sensitive_features=data[names]
    )
    report = group_report(data["y"], data["a"], sensitive_features=data[names], n_boot=None)
    assert found == (memory.groups_.tolist(), report.by_group.index.tolist())
    assert found[0][:1] == (["small"] if names == "size" else [["small", "y"]])


@every_kind
@pytest.mark.parametrize("other", [["large", "small", "huge"], [*SIZES, "giant"], None])
def test_groups_are_sorted_where_blocks_state_other_categories_or_none(kind, other, tmp_path):
    data = table(SIZES)
    last = data[3000:].copy()
    last["size"] = (
        last["size"].astype(str) if other is None else last["size"].cat.set_categories(other)
    )
    parts = [data[:2000], data[2000:3000], last]
    found = groups_of(kind(parts, "size", tmp_path))
    assert found == (["huge", "large", "small"],) * 2


def test_text_of_files_is_sorted_in_whatever_order_it_occurs(tmp_path):
    data = table(SIZES).sort_values("size", kind="stable")
    data["size"] = data["size"].astype(str)
    for rows in (data, data[::-1]):
        given = files([rows], "size", tmp_path)
        assert groups_of(given) == (["huge", "large", "small"],) * 2


def test_numbers_and_dates_keep_the_order_of_their_categories():
    days = pd.to_datetime(["2024-05-01", "2020-01-01", "2022-03-01"])
    for categories in ([30, 10, 20], [0.5, -1.0, 2.0], days):
        data = table(categories)
        parts = [data[:10], data[10:]]
        memory = PixelLossRegressor(0.0).fit(
            data[["a", "b"]], data["y"], sensitive_features=data["size"]
        )
        found = PixelLossRegressor(0.0).fit(**blocks(parts, "size", None))
        assert found.groups_.tolist() == memory.groups_.tolist()
        assert found.groups_.dtype == memory.groups_.dtype


def test_enums_of_polars_keep_their_order():
    pl = pytest.importorskip("polars")
    data = table(SIZES)
    kind = pl.Enum(SIZES)

    def block(i):
        rows = data[2000 * i : 2000 * (i + 1)]
        return block_of(rows, "size") | {
            "sensitive_features": pl.Series("size", rows["size"].astype(str).tolist(), dtype=kind)
        }

    assert groups_of({"X": from_blocks(block, 2)}) == (SIZES[:3],) * 2


def test_blocks_without_rows_or_weight_state_no_categories():
    data = table(SIZES)
    other = data[:5].assign(size=data["size"][:5].cat.set_categories(["large", "huge", "small"]))
    parts = [other[:0], other, data]
    weights = [np.ones(0), np.zeros(5), np.ones(N)]
    source = from_blocks(lambda i: block_of(parts[i], "size", weights[i]), 3)
    assert groups_of({"X": source}) == (SIZES[:3],) * 2


def test_multipliers_of_a_term_are_in_the_order_of_the_groups(tmp_path):
    data = table(SIZES)
    memory, found = (PixelLossRegressor(1.0, fairness=WorstGroupLoss(0.9)) for _ in range(2))
    memory.fit(data[["a", "b"]], data["y"], sensitive_features=data["size"])
    found.fit(**files([data[:1500], data[1500:]], "size", tmp_path))
    assert found.groups_.tolist() == memory.groups_.tolist() == SIZES[:3]
    np.testing.assert_allclose(found.group_errors_["mae"], memory.group_errors_["mae"], rtol=1e-7)
    assert np.argmax(found.group_errors_["mae"]) == 2


OTHER = [("size", "town"), ("size", ["size", "town"]), (["size", "town"], ["town", "size"])]


@pytest.mark.parametrize("names", OTHER, ids=str)
def test_blocks_with_other_columns_of_groups_are_refused(names):
    data = table(SIZES)
    source = from_blocks(lambda i: block_of(data[2000 * i : 2000 * (i + 1)], names[i]), 2)
    model = LinearRegression().fit(data[["a", "b"]], data["y"])
    for call in (
        lambda: PixelLossRegressor().fit(source),
        lambda: GroupReport.from_estimator(model, source),
    ):
        with pytest.raises(ValueError, match="the same columns of 'sensitive_features'"):
            call()
