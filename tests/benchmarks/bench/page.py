"""Pages of docs/ whose tables are written from result files: marked parts, tables, numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

MARKED = re.compile(r"<!-- begin (\w+) -->\n.*?<!-- end \1 -->", re.S)


def fill(pages: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    """Return the pages with their parts written anew, between the comments that name them.

    Each part is marked once, on one of the pages.
    """
    found = [match[1] for page in pages.values() for match in MARKED.finditer(page)]
    if sorted(found) != sorted(texts):
        raise ValueError(f"the pages mark {found}, expected {list(texts)}")

    def written(match: re.Match[str]) -> str:
        return f"<!-- begin {match[1]} -->\n\n{texts[match[1]]}\n\n<!-- end {match[1]} -->"

    return {name: MARKED.sub(written, page) for name, page in pages.items()}


def read(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the text of each page."""
    return {name: (folder / name).read_text("utf-8") for name in names}


def write(folder: Path, pages: Mapping[str, str]) -> None:
    """Write the pages into a folder."""
    for name, text in pages.items():
        (folder / name).write_text(text, "utf-8")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], n_text: int = 1) -> str:
    """A table in Markdown; the first columns are text."""
    marks = ["---"] * n_text + ["---:"] * (len(header) - n_text)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, marks, *rows])


def number(value: float) -> str:
    """Three digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def rounded(value: Any) -> Any:
    """Floats of five digits, so that rounding on another machine hardly shows."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list | tuple) else value


def to_text(results: dict[str, Any]) -> str:
    """JSON with the innermost lists and objects on a line each."""
    text = json.dumps(results, indent=1, ensure_ascii=False)
    inner = r"[\[{][^\[\]{}]*[\]}]"
    return re.sub(inner, lambda found: re.sub(r"\s*\n\s*", " ", found[0]), text) + "\n"
