"""Text detection as a whole on texts whose identifiers are known: planted ones, and the outside corpora.

Every figure is of ``TextScrubber`` with all that ships; exact means start, end and kind.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.figures import Bound, Figure, Target
from benchmarks.outside import DIALOGUES, dialogues, outside_folder
from benchmarks.planted_kinds import CARRIERS, HARD, PLANTS, planted
from deid.text import Kind, TextScrubber
from deid.text.evaluation import Evaluation, Measure, evaluate
from deid.text.gold import GoldText, read_gold

_SEED: Final = 20260401
TRIALS: Final = 1_000
_BUDGET_MS: Final = 60_000
"""What a document may take here: a busy machine is no finding."""

ENGLISH: Final = "presidio_synth_dev.json"
SOCIAL: Final = ("weibo2_train.conll", "weibo2_dev.conll")

POOL: Final = "e-mail, SSN, IBAN, IP, card, phone"
_POOLS: Final[Mapping[str, Sequence[str]]] = {
    POOL: ("EMAIL_ADDRESS", "US_SSN", "IBAN_CODE", "IP_ADDRESS", "CREDIT_CARD", "PHONE_NUMBER")
}


@dataclass(frozen=True, slots=True)
class PlantedScore:
    """How one sort of planted identifiers, or of what only looks like one, fared.

    Attributes:
        hit: found exactly, or left alone where it is none.
        others: spans beside the planted one, all of which are wrong.
    """

    name: str
    trials: int
    hit: int
    others: int


@cache
def planted_scores(trials: int = TRIALS, *, glued: bool = True) -> tuple[PlantedScore, ...]:
    """Plant each kind of identifier between characters of a sentence, or where spaces or punctuation part it."""
    carriers = [carrier for carrier in CARRIERS if _is_glued(carrier) is glued]
    return tuple(_planted_score(name, trials, carriers) for name in PLANTS)


@cache
def hard_scores(trials: int = TRIALS) -> tuple[PlantedScore, ...]:
    """Put what only looks like an identifier into sentences."""
    return tuple(_hard_score(name, trials) for name in HARD)


@cache
def evaluated(folder: Path, name: str) -> Evaluation | None:
    """Evaluate one of the outside corpora; None where it is absent."""
    texts = list(_corpus(folder, name))
    return evaluate(texts, _scrubber().find, pools=_POOLS) if texts else None


CORPORA: Final = ("English, presidio-research", "Chinese social text, Weibo", "Chinese medical talk")


def run(trials: int = TRIALS) -> list[Figure]:
    """Return the figures; of planted identifiers alone without outside data."""
    figures = _planted_figures(trials)
    outside = outside_folder()
    return figures if outside is None else [*figures, *_english(outside), *_social(outside), *_medical(outside)]


def _planted_figures(trials: int) -> list[Figure]:
    hard = hard_scores(trials)
    both = {"glued": planted_scores(trials, glued=True), "delimited": planted_scores(trials, glued=False)}
    recalls = [
        Figure("text", f"planted identifiers of all kinds, {how}: found exactly", _share(scores), "share", "planted",
               _trials(scores), Target(Bound.AT_LEAST, 0.995))
        for how, scores in both.items()
    ]  # fmt: skip
    weakest = min(score.hit / score.trials for scores in both.values() for score in scores)
    right = sum(score.hit for scores in both.values() for score in scores)
    wrong = sum(score.others for score in (*hard, *both["glued"], *both["delimited"]))
    return [
        *recalls,
        Figure("text", "planted identifiers: found exactly, of the kind that fares worst", weakest, "share"),
        Figure("text", "what only looks like an identifier: left alone", _share(hard), "share", "texts", _trials(hard),
               Target(Bound.AT_LEAST, 0.99)),
        Figure("text", "precision on both together", right / (right + wrong), "share", "spans", right + wrong,
               Target(Bound.AT_LEAST, 0.99)),
    ]  # fmt: skip


def _english(folder: Path) -> list[Figure]:
    evaluation = evaluated(folder, CORPORA[0])
    if evaluation is None:
        return []
    score = evaluation.score(POOL)
    recall, precision = score.recall(Measure.OVERLAP) or 0.0, score.precision(Measure.OVERLAP) or 0.0
    exact = score.recall(Measure.EXACT) or 0.0
    return [
        Figure("text", f"English: {POOL}: recall, overlapping", recall, "share", "spans", score.gold,
               Target(Bound.AT_LEAST, 0.95)),
        Figure("text", f"English: {POOL}: precision, overlapping", precision, "share", "found", score.found,
               Target(Bound.AT_LEAST, 0.95)),
        Figure("text", f"English: {POOL}: recall, exact", exact, "share", "spans", score.gold),
    ]  # fmt: skip


def _social(folder: Path) -> list[Figure]:
    evaluation = evaluated(folder, CORPORA[1])
    if evaluation is None:
        return []
    score = evaluation.score("PER.NAM")
    return [
        Figure("text", "social text: names, wholly covered, all finders", score.recall(Measure.COVER) or 0.0, "share",
               "names", score.gold, Target(Bound.AT_LEAST, 0.65)),
        Figure("text", "social text: names that are right, all finders", score.precision(Measure.OVERLAP) or 0.0,
               "share", "found", score.found),
    ]  # fmt: skip


def _medical(folder: Path) -> list[Figure]:
    evaluation = evaluated(folder, CORPORA[2])
    if evaluation is None:
        return []
    persons = 1_000 * evaluation.false_hits.get(Kind.PERSON, 0) / evaluation.characters
    rest = evaluation.false_hits_per_1000 - persons
    unit = "per 1,000 characters"
    return [
        Figure("text", "medical talk: persons found, true ones among them", persons, unit, "characters",
               evaluation.characters, Target(Bound.AT_MOST, 0.3)),
        Figure("text", "medical talk: other kinds found, true ones among them", rest, unit, "characters",
               evaluation.characters),
    ]  # fmt: skip


@cache
def _scrubber() -> TextScrubber:
    return TextScrubber(budget_ms=_BUDGET_MS)


def _corpus(folder: Path, name: str) -> Iterator[GoldText]:
    """Yield the texts of a corpus; in the medical one next to nothing is known to be an identifier."""
    files = {CORPORA[0]: (ENGLISH,), CORPORA[1]: SOCIAL}.get(name, ())
    for file in files:
        if (folder / file).is_file():
            yield from read_gold(folder / file)
    if name == CORPORA[2] and (folder / DIALOGUES).is_file():
        for number, talk in enumerate(dialogues(folder / DIALOGUES)):
            yield from (GoldText(str(number), text, ()) for text in (talk.title, talk.ask, talk.answer) if text)


def _is_glued(carrier: str) -> bool:
    """Say whether a Chinese character stands on one side at least."""
    before, _, after = carrier.partition("{}")
    return any("\u4e00" <= sign <= "\u9fff" for sign in (before[-1:], after[:1]))


def _planted_score(name: str, trials: int, carriers: Sequence[str]) -> PlantedScore:
    draw = random.Random(f"{_SEED}{name}{carriers[0]}")
    hit = others = 0
    for _ in range(trials):
        made = planted(name, draw, draw.choice(carriers))
        found = {(span.type, span.start, span.end) for span in _scrubber().find(made.text)}
        wanted = (made.kind, made.start, made.start + len(made.value))
        hit += wanted in found
        others += len(found - {wanted})
    return PlantedScore(name, trials, hit, others)


def _hard_score(name: str, trials: int) -> PlantedScore:
    draw = random.Random(f"{_SEED}{name}")
    texts = [draw.choice(CARRIERS).replace("{}", HARD[name](draw)) for _ in range(trials)]
    found = [len(_scrubber().find(text)) for text in texts]
    return PlantedScore(name, trials, found.count(0), sum(found))


def _share(scores: Sequence[PlantedScore]) -> float:
    return sum(score.hit for score in scores) / _trials(scores)


def _trials(scores: Sequence[PlantedScore]) -> int:
    return sum(score.trials for score in scores)
