"""The sentences of the study that hold numbers, from the results file alone."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.study.results import (
    BETWEEN,
    L1,
    L2,
    MEASURES,
    Record,
    base,
    best_mix,
    contrast,
    detected,
    gain,
    gap,
    is_between,
    is_real,
    real,
    sign,
    turned,
)
from bench.study.tables import WORDS

OVERALL = ("mae", "mse")


def titles(records: Sequence[Record]) -> str:
    """Names in words."""
    names = [record["title"] for record in records]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def counted(records: Sequence[Record], named: bool = False) -> str:
    """A number in words where it is 0, with the names where they are asked for."""
    if not records:
        return "none"
    return f"{len(records)} ({titles(records)})" if named else str(len(records))


def traded(results: Record) -> list[Record]:
    """The real data sets where L1 has detectably less MAE than L2 and more MSE."""
    dearer = detected(results, "mse", 1, L1)
    return [record for record in detected(results, "mae", -1, L1) if record in dearer]


def kept(results: Record, quantity: str) -> float:
    """The median share of the change from L2 to L1 that the middle has, in percent.

    Over the data sets of `traded`.
    """
    middle = results["protocol"]["primary"]
    return 100 * median(
        contrast(record, quantity, middle)[0] / contrast(record, quantity, L1)[0]
        for record in traded(results)
    )


def below_both(results: Record, quantity: str) -> list[Record]:
    """The real data sets where the middle is detectably below L2 and below L1."""
    middle = results["protocol"]["primary"]
    below = detected(results, quantity, -1, middle, L1)
    return [record for record in detected(results, quantity, -1, middle) if record in below]


def way_answer(results: Record) -> str:
    """How far is the middle from either end?"""
    middle = results["protocol"]["primary"]
    ways = [record["way"]["middle"] for record in real(results)]
    low, high = BETWEEN
    outside = [
        f"{record['title']} ({record['way']['middle']:.3f}, R² {record['way']['R2 of L2']:.2f})"
        for record in results["data"]
        if not is_between(record)
    ]
    return (
        f"On {len(ways)} real data sets {middle:g} is {min(ways):.2f} to {max(ways):.2f} of the "
        f"way from L2 to L1, with a median of {median(ways):.2f}. With the simulated ones it is "
        f"not between {low:g} and {high:g} on {'; '.join(outside) or 'none'}."
    )


def accuracy_answer(results: Record) -> str:
    """Does a mix beat both ends?"""
    middle = results["protocol"]["primary"]

    def both(quantity: str, reference: float) -> str:
        better, worse = (detected(results, quantity, k, middle, reference) for k in (-1, 1))
        return f"smaller on {counted(better)} and larger on {counted(worse)}"

    inside = [r for r in real(results) if best_mix(r, MEASURES["MAE"]) not in (L2, L1)]
    sentences = [
        f"Of {len(real(results))} real data sets the MAE of {middle:g} is {both('mae', L2)} than "
        f"that of L2, and {both('mae', L1)} than that of L1.",
        f"Its MSE is {both('mse', L2)} than that of L2, and {both('mse', L1)} than that of L1.",
    ]
    beats = " and ".join(
        f"by {quantity.upper()} on {counted(below_both(results, quantity), True)}"
        for quantity in OVERALL
    )
    sentences.append(f"It is detectably below both ends {beats}.")
    if traded(results):
        sentences.append(
            f"On the {len(traded(results))} data sets where L1 detectably lowers the MAE of L2 and "
            f"raises its MSE, {middle:g} has a median {kept(results, 'mae'):.0f} % of the gain and "
            f"{kept(results, 'mse'):.0f} % of the cost."
        )
    if inside:
        most = max(inside, key=lambda record: gain(record, MEASURES["MAE"]))
        sentences.append(
            f"The best mix of the grid by MAE lies between the ends on {len(inside)}; its MAE is "
            f"below that of the better end by {gain(most, MEASURES['MAE']):.2f} % at most "
            f"({most['title']}), and it was chosen on the folds that it is judged by."
        )
    return " ".join(sentences)


def groups_answer(results: Record) -> str:
    """What happens to the worst group and to the difference?"""
    middle = results["protocol"]["primary"]

    def both(quantity: str) -> str:
        less, more = (detected(results, quantity, k, middle) for k in (-1, 1))
        return f"smaller on {counted(less, True)} and larger on {counted(more, True)}"

    less, grown = (detected(results, "mae gap", k, middle) for k in (-1, 1))
    round_about = [r for r in less if turned(r, "mae gap", middle)]
    lower = [r for r in grown if sign(contrast(r, "mae", middle)) < 0]
    unharmed = [r for r in grown if sign(contrast(r, "worst mae", middle)) <= 0]
    wages = [r for r in real(results) if r["domain"] == "wages"]
    sentences = [
        f"Under {middle:g} the MAE of the worst group is {both('worst mae')} than under L2.",
        f"The difference of MAE is {both('mae gap')}.",
    ]
    if round_about:
        sentences.append(
            f"Of the smaller ones {counted(round_about, True)} changed sign: the other group then "
            "has the larger MAE."
        )
    sentences.append(
        f"Where the difference grows, the MAE over all rows is smaller on {counted(lower)} of "
        f"{len(grown)}, and the worst group has no detectably larger MAE on {counted(unharmed)}. "
        f"Of {len(wages)} data sets of wages it grows on "
        f"{counted([r for r in wages if r in grown])}."
    )
    return " ".join(sentences)


def residuals_answer(results: Record) -> str:
    """What happens to mean residuals?"""
    middle = results["protocol"]["primary"]
    less, more = (detected(results, "residual gap", k, middle) for k in (-1, 1))
    levels = [100 * gap(r, "residual", L2) / base(r, "mae") for r in real(results)]
    changes = {r["title"]: abs(contrast(r, "residual gap", middle)[0]) for r in real(results)}
    most = max(changes, key=changes.__getitem__)
    return (
        "Under L2 the mean residuals of the two groups differ by a median "
        f"{median(levels):.0f} % of the MAE. Under {middle:g} they differ less on {counted(less)} "
        f"and more on {counted(more)}; the median size of the change is "
        f"{median(changes.values()):.1f} %, the largest {changes[most]:.1f} % ({most}). "
        f"{level_answer(results)}"
    )


def level_answer(results: Record) -> str:
    """What L1 does to the mean residual over all rows."""
    under, over = (detected(results, "residual", k, L1) for k in (1, -1))
    sizes = {r["title"]: contrast(r, "residual", L1)[0] for r in real(results)}
    most = max(sizes, key=lambda title: abs(sizes[title]))
    return (
        "Over all rows L1, which aims at medians, under-predicts compared with L2 on "
        f"{counted(under)} and over-predicts on {counted(over)}; the largest change of the mean "
        f"residual is {sizes[most]:+.0f} % of the MAE ({most})."
    )


def simulated_answer(results: Record) -> str:
    """What the scenario of the discussion does."""
    parts = []
    for record in results["data"]:
        if not is_real(record):
            value = contrast(record, "mae gap", L1)
            word = {-1: "falls", 0: "no change is detected", 1: "rises"}[sign(value)]
            parts.append(f"{record['title']}: {word} ({value[0]:+.0f} %)")
    return (
        "The difference of MAE between dark and bright images from L2 to L1, in percent of the MAE "
        f"of L2. {'; '.join(parts)}."
    )


def answers(results: Record) -> str:
    """The answers, one for each question."""
    found = {
        "The way.": way_answer,
        "Accuracy.": accuracy_answer,
        "Groups.": groups_answer,
        "Direction.": residuals_answer,
        "The scenario of the discussion.": simulated_answer,
    }
    return "\n".join(f"- *{question}* {answer(results)}" for question, answer in found.items())


def findings(results: Record) -> str:
    """The three findings of the first page: accuracy, groups, direction."""
    middle = results["protocol"]["primary"]

    def counts(quantity: str) -> str:
        less, more = (detected(results, quantity, k, middle) for k in (-1, 1))
        return f"smaller on {counted(less)} and larger on {counted(more)}"

    grown = detected(results, "mae gap", 1, middle)
    lower = [r for r in grown if sign(contrast(r, "mae", middle)) < 0]
    levels = [100 * gap(r, "residual", L2) / base(r, "mae") for r in real(results)]
    changes = [abs(contrast(r, "residual gap", middle)[0]) for r in real(results)]
    change = median(contrast(r, "mae", middle)[0] for r in real(results))
    return (
        f"1. **Accuracy.** With a mix of {middle:g} the MAE is {counts('mae')} of "
        f"{len(real(results))} data sets, compared with L2; the median change is {change:+.1f} %. "
        f"Its MSE is {counts('mse')}.\n"
        f"2. **Groups.** The difference in MAE between two groups is {counts('mae gap')}. On "
        f"{len(lower)} of the {len(grown)} where it is larger, the MAE over all rows is smaller.\n"
        "3. **Direction.** Under L2 the mean residuals of two groups differ by a median "
        f"{median(levels):.0f} % of the MAE. The mix changes that by a median "
        f"{median(changes):.1f} %."
    )


def short(results: Record) -> str:
    """Two sentences for the landing page: accuracy and groups."""
    middle = results["protocol"]["primary"]
    (less, more), (shrunk, grown) = (
        [counted(detected(results, quantity, k, middle)) for k in (-1, 1)]
        for quantity in ("mae", "mae gap")
    )
    return (
        f"Compared with L2, a mix of {middle:g} has a smaller mean absolute error on {less}, and a "
        f"larger one on {more}. The difference between two groups grows on {grown} and shrinks on "
        f"{shrunk}."
    )


def shown_contrasts(results: Record) -> list[list[float]]:
    """Every interval that tables and answers rest on, but those of the best mix."""
    middle = results["protocol"]["primary"]
    pairs = [(quantity, mix, L2) for quantity in WORDS for mix in (middle, L1)]
    pairs += [(quantity, middle, L1) for quantity in OVERALL]
    pairs.append(("residual", L1, L2))
    return [contrast(record, *pair) for record in results["data"] for pair in pairs]


def caution(results: Record) -> str:
    """How many intervals there are, and what the fits warned of."""
    found = shown_contrasts(results)
    chance = (1 - results["protocol"]["confidence_level"]) * len(found)
    gaps = max(record["fits"]["largest relative gap"] for record in results["data"])
    short = f", with a certified relative gap of at most {gaps:.0e}" if gaps > 0 else ""
    return (
        f"- *Many intervals.* Tables and answers rest on {len(found)} intervals, those of the best "
        f"mix aside; {sum(map(bool, map(sign, found)))} exclude 0. If there were no "
        f"difference anywhere, about {chance:.0f} would not, by chance. Intervals of one data set "
        "are not independent, and a single one that ends close to 0 is no finding.\n"
        "- *Fits.* Ties under L1 that were not resolved, so that other models have the same "
        f"training loss: {warned(results, 'unresolved ties')}. Fits short of the tolerance: "
        f"{warned(results, 'short of tolerance')}{short}. A model that several comparisons fit is "
        "counted in each."
    )


def warned(results: Record, kind: str) -> str:
    """How many fits warned, of which data."""
    found = [record for record in results["data"] if record["fits"][kind]]
    count = sum(record["fits"][kind] for record in found)
    return f"{count} fits ({titles(found)})" if found else "none"
