"""Write the tables of docs/hard_inputs.md from the counts in docs/hard.

From the repository root: ``python tests/benchmarks/hard_inputs.py``. The page says how to count.
"""

from __future__ import annotations

import json
from pathlib import Path

from bench import hard, page

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    """Command line."""
    files = {side: DOCS / "hard" / f"{side}.json" for side in hard.SIDES}
    results = {side: json.loads(path.read_text("utf-8")) for side, path in files.items()}
    page.write(DOCS, hard.fill(page.read(DOCS, hard.PAGES), results))


if __name__ == "__main__":
    main()
