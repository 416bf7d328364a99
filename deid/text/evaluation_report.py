"""An evaluation for people, as a Markdown table, and for programs, as JSON; neither holds a character of any text."""

from collections.abc import Mapping, Sequence
from typing import Final

from deid.text.evaluation import Evaluation, Measure, Score

Cell = str | int | float | None | Mapping[str, "Cell"] | Sequence["Cell"]

COLUMNS: Final = (
    "type", "gold", "found", "recall exact", "overlap", "cover", "precision exact", "overlap", "cover",
)  # fmt: skip


def as_markdown(evaluation: Evaluation) -> str:
    """Return a table of all types, and below it what was not scored and the false hits."""
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        f"| --- |{' ---: |' * (len(COLUMNS) - 1)}",
        *(f"| {' | '.join(_cells(score))} |" for score in evaluation.scores),
        "",
        f"{evaluation.texts:,} texts, {evaluation.characters:,} characters. {_false_hits(evaluation)}",
    ]
    if evaluation.withheld:
        lines.append(f"Withheld, since they could not be judged in time: {evaluation.withheld:,} texts.")
    if evaluation.unscored:
        lines.append(f"Not scored, since no kind of ours is meant: {_counted(evaluation.unscored)}.")
    return "\n".join(lines) + "\n"


def as_json(evaluation: Evaluation) -> dict[str, Cell]:
    """Return the same for ``json.dumps``; a share of nothing is null."""
    return {
        "texts": evaluation.texts,
        "characters": evaluation.characters,
        "withheld": evaluation.withheld,
        "types": [_row(score) for score in evaluation.scores],
        "unscored": dict(evaluation.unscored),
        "false_hits": {kind.value: number for kind, number in sorted(evaluation.false_hits.items())},
        "false_hits_per_1000_characters": evaluation.false_hits_per_1000,
    }


def _row(score: Score) -> dict[str, Cell]:
    return {
        "type": score.type,
        "gold": score.gold,
        "found": score.found,
        "recall": {measure.value: score.recall(measure) for measure in Measure},
        "precision": {measure.value: score.precision(measure) for measure in Measure},
    }


def _cells(score: Score) -> list[str]:
    shares = (*(score.recall(measure) for measure in Measure), *(score.precision(measure) for measure in Measure))
    return [score.type, f"{score.gold:,}", f"{score.found:,}", *map(_share, shares)]


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def _false_hits(evaluation: Evaluation) -> str:
    told = f"False hits: {evaluation.false_hits_per_1000:.3f} per 1,000 characters"
    by_kind = {kind.value: number for kind, number in evaluation.false_hits.items()}
    return f"{told} ({_counted(by_kind)})." if by_kind else f"{told}."


def _counted(numbers: Mapping[str, int]) -> str:
    most_first = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {number:,}" for name, number in most_first)
