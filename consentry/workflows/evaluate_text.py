"""Measure detection on texts whose spans are known; touches no store and needs no deployment."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deid.text import TextScrubber
from deid.text.evaluation import Evaluation, evaluate
from deid.text.gold import read_gold
from kernel.errors import BadInput


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
    mapped = None if types is None else _read_types(types)
    return evaluate(read_gold(gold), lambda text: scrubber.find(text, language), mapped)


def _read_types(path: Path) -> Mapping[str, Sequence[str]]:
    try:
        said = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as err:
        raise BadInput(f"{path.name} cannot be read: {type(err).__name__}", hint="Give a JSON file.") from None
    if not isinstance(said, dict) or not all(_is_names(kinds) for kinds in said.values()):
        raise BadInput(f"{path.name} does not say kinds by type", hint='It holds {"GOLD TYPE": ["OUR KIND", …]}.')
    return said


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
