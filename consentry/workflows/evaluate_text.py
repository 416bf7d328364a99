"""Measure detection on texts whose spans are known; touches no store and needs no deployment."""

from pathlib import Path

from deid.text import TextScrubber
from deid.text.evaluation import Evaluation, evaluate
from deid.text.gold import read_gold, read_types


def evaluate_text(gold: Path, *, language: str = "auto", types: Path | None = None) -> Evaluation:
    """Find in every text of a gold file and compare.

    Args:
        gold: ``.jsonl``, ``.json`` or ``.conll``, see ``deid.text.gold``.
        language: ``auto``, ``zh`` or ``en``.
        types: a JSON file that says which of our kinds each gold type is.

    Raises:
        BadInput: a file cannot be read as what it should be, or names a kind that there is not.
    """
    scrubber = TextScrubber()
    mapped = None if types is None else read_types(types)
    return evaluate(read_gold(gold), lambda text: scrubber.find(text, language), mapped)
