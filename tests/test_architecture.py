import ast
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "skfairloss").rglob("*.py"))
MAX_BODY_LINES = 60


def body_lines(function):
    """Lines of a function's body; signature and docstring are not counted."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


def test_the_import_contracts_hold(capsys):
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_body_is_longer_than_a_page(path):
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    too_long = {f.name: body_lines(f) for f in functions if body_lines(f) > MAX_BODY_LINES}
    assert not too_long


@pytest.mark.parametrize("library", ["matplotlib", "dask", "pyarrow.dataset"])
def test_importing_any_public_module_does_not_import_an_optional_library(library):
    code = (
        "import importlib, pkgutil, sys, skfairloss\n"
        "for module in pkgutil.walk_packages(skfairloss.__path__, 'skfairloss.'):\n"
        "    if '._' not in module.name:\n"
        "        importlib.import_module(module.name)\n"
        f"sys.exit({library!r} in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def constants(path):
    """Names in capitals that a module gives a value, without leading underscores."""
    for node in ast.parse(path.read_text("utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else ()
        names = (name for target in targets for name in ast.walk(target))
        yield from (n.id for n in names if isinstance(n, ast.Name) and n.id.isupper())


SOLVERS = [path for path in MODULES if path.is_relative_to(ROOT / "skfairloss/_solvers")]


def test_no_name_of_a_number_has_two_values_in_the_solvers():
    homes = {}
    for path in SOLVERS:
        for name in constants(path):
            homes.setdefault(name.lstrip("_"), []).append(path.name)
    assert {"FLAT", "ROUNDS"} <= set(homes)
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def test_every_number_of_the_solvers_is_used():
    used = {
        node.id
        for path in SOLVERS
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    named = {name for path in SOLVERS for name in constants(path)}
    assert named <= used, "numbers without effect"
