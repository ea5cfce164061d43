"""docs/speed.md and docs/speed_tables.md: their parts that the result files say."""

from __future__ import annotations

from collections.abc import Mapping

from bench import page as marked
from bench.speed.results import Results
from bench.speed.summary import findings, hard, terms
from bench.speed.tables import (
    COMPARED,
    Write,
    beyond_memory,
    dear,
    lost,
    memory,
    peers,
    products,
    ratios,
    setting,
    slopes,
    stages,
    twins,
)

PAGES = ("speed.md", "speed_tables.md")

# What is written from the files of all scripts, and from that of one.
OF_ALL: dict[str, Write] = {"setting": setting, "findings": findings, "lost": lost, "dear": dear}
OF_ONE: dict[str, tuple[str, Write]] = {
    "plain": ("plain_fits", ratios("plain_fits")),
    "memory": ("plain_fits", memory),
    "hard": ("hard_data", hard),
    "terms": ("fairness_terms", terms),
    "growth": ("growth", slopes),
    "stages": ("profile_fit", stages),
    "products": ("profile_fit", products),
    "twins": ("hard_data", twins),
    "beyond_memory": ("beyond_memory", beyond_memory),
    **{
        name: (name, ratios(name))
        for name in ("many_outputs", "mix_path", "sparse_one_hot", "fairness_terms", "real_data")
    },
    **{
        f"{name}_peers": (name, peers(name))
        for name in COMPARED
        if name not in {"mix_path", "sparse_one_hot"}
    },
}


def fill(pages: Mapping[str, str], results: Results) -> dict[str, str]:
    """Return the pages with their parts written anew; a part whose file is absent says so."""
    texts = {name: write(results) for name, write in OF_ALL.items()}
    for name, (script, write) in OF_ONE.items():
        missing = f"Not measured: `python tests/benchmarks/speed.py --only {script}` does it."
        texts[name] = write(results) if script in results else missing
    return marked.fill(pages, texts)
