"""What the docstrings say about parameters, defaults and attributes is what the code does."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

import skfairloss
from skfairloss.fairness import FairnessTerm, WorstGroupLoss

INTERNAL = {"skfairloss._core.losses"}  # the solvers' mathematics, not part of the public API
NAMES = [module.name for module in pkgutil.walk_packages(skfairloss.__path__, "skfairloss.")]
PUBLIC_MODULES = [
    "skfairloss",
    *(name for name in NAMES if "._" not in name and name not in INTERNAL),
]


def public_objects():
    """Every class and function that some public module names in its ``__all__``."""
    for name in PUBLIC_MODULES:
        module = importlib.import_module(name)
        yield from (value for key in module.__all__ if callable(value := getattr(module, key)))


def public_methods(cls):
    """Those of a class but the ones that its base documents."""
    own = [(key, f) for key, f in vars(cls).items() if key[0] != "_" and inspect.isfunction(f)]
    base = [b for b in cls.__mro__[1:] if b.__module__ == "skfairloss.fairness"]
    return [f for key, f in own if not any(hasattr(b, key) for b in base)]


OBJECTS = sorted(set(public_objects()), key=lambda value: value.__qualname__)
CLASSES = [value for value in OBJECTS if inspect.isclass(value)] + [FairnessTerm]
METHODS = [method for cls in CLASSES for method in public_methods(cls)]
ESTIMATORS = [cls for cls in CLASSES if hasattr(cls, "fit")]


def parse(value):
    return (ClassDoc if inspect.isclass(value) else FunctionDoc)(value)


def documented_parameters(doc):
    """Name -> documented type, with ``X, y : array`` taken apart; without the stars of **kwargs."""
    sections = [*doc["Parameters"], *doc["Other Parameters"]]
    return {name.lstrip("*"): entry.type for entry in sections for name in entry.name.split(", ")}


def signature_parameters(value):
    """Name -> default; an exception class takes its message and documents nothing."""
    if inspect.isclass(value) and issubclass(value, Exception) and "__init__" not in vars(value):
        return {}
    parameters = inspect.signature(value).parameters.items()
    return {name: parameter.default for name, parameter in parameters if name != "self"}


def documented_default(type_):
    """Return the value after ``default=``, or the signature's mark for "no default"."""
    found = re.search(r"default=(.+)$", type_)
    if found and found[1] == "nan":
        return np.nan
    return ast.literal_eval(found[1]) if found else inspect.Parameter.empty


@pytest.mark.parametrize("value", OBJECTS + METHODS, ids=lambda value: value.__qualname__)
def test_the_docstring_lists_the_parameters_and_defaults_of_the_signature(value):
    documented = documented_parameters(parse(value))
    signature = signature_parameters(value)
    assert list(documented) == list(signature)
    assert {name: documented_default(type_) for name, type_ in documented.items()} == signature


@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: value.__qualname__)
def test_a_public_object_is_among_the_names_of_the_public_module_that_holds_it(value):
    rooms = [name for name in PUBLIC_MODULES if f"{value.__module__}.".startswith(f"{name}.")]
    assert value.__name__ in importlib.import_module(max(rooms, key=len)).__all__


@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: value.__qualname__)
def test_everything_public_shows_an_example(value):
    assert any(">>>" in line for line in parse(value)["Examples"])


ROOT = Path(__file__).parents[1]
QUESTIONS = ("How", "What", "When", "Where", "Whether", "Which", "Who", "Whose", "Why")
FILES = sorted((ROOT / "skfairloss").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_docstring_begins_with_a_question_word(path):
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [
        node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kinds)
    ]
    words = [(ast.get_docstring(node) or "none").split()[0] for node in nodes]
    assert not set(words) & set(QUESTIONS)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda cls: cls.__qualname__)
def test_an_estimator_documents_exactly_its_fitted_attributes(estimator):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(3.0, 2.0, size=(40, 2)), columns=["a", "b"])
    y = X["a"] - 2 * X["b"] + rng.normal(size=40)
    groups = np.repeat(["u", "v"], 20)
    public = set()
    for fairness in (None, WorstGroupLoss(0.5)):
        fitted = estimator(fairness=fairness).fit(X, y, sensitive_features=groups)
        public |= {name for name in vars(fitted) if name.endswith("_") and name[0] != "_"}
    documented = [entry.name for entry in parse(estimator)["Attributes"]]
    assert all(name.endswith("_") for name in documented)
    assert sorted(documented) == sorted(public)
