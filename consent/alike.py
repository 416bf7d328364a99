"""Verdicts for a batch straight from the driver's rows: people whose rows tell the rule the same are judged once.

What the rows say without whose they are, which decisions and at what instants, is their shape. Whom the rule might tell
from others by more than that, minors and those with decisions whose uses are counted, are judged each by themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from consent.rules import Question, Track
from consent.situations import PersonRows, Shape, decision_of, shape_of, situation_of
from consent.verdicts import NO_BASIS, Alike, Basis, Judgement, Verdict, judgement_of, strands_of, verdict_of
from kernel.catalogue import Catalogue
from kernel.clock import to_micros
from kernel.ids import SubjectId


class Shaped(NamedTuple):
    """What holds for everybody with one shape: the judgement, and in which rows the decisions are that it rests on."""

    judgement: Judgement
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier batches with the same purpose, recipient, fields and terms have shown; filled on the way."""

    judgements: dict[Alike, Judgement]
    shapes: dict[Shape, Shaped]

    def __len__(self) -> int:
        return len(self.judgements) + len(self.shapes)


def decide_rows(
    catalogue: Catalogue,
    question: Question,
    rows: Mapping[SubjectId, PersonRows],
    batch: Sequence[SubjectId],
    known: Known,
) -> dict[SubjectId, Verdict]:
    """Return for every subject of the batch what ``verdicts.decide`` does; one without rows is not registered."""
    now, shapes = to_micros(question.now), known.shapes
    verdicts: dict[SubjectId, Verdict] = {}
    for subject in batch:
        own = rows.get(subject)
        shape = None if own is None else shape_of(own, now)
        shaped = None if shape is None else shapes.get(shape)
        if own is None or shaped is None:
            verdicts[subject] = _judged(catalogue, question, own, shape, known)
        else:
            judgement, places = shaped
            verdicts[subject] = Verdict(judgement, _basis(own, places))
    return verdicts


def _judged(
    catalogue: Catalogue, question: Question, own: PersonRows | None, shape: Shape | None, known: Known
) -> Verdict:
    """Return the verdict for one subject, and remember what of it holds for the shape."""
    situation = None if own is None else situation_of(own, catalogue.digital_age)
    if own is not None and shape is not None:
        state, basis, consent = strands_of(question, situation)
        judgement = judgement_of(catalogue, question, state, basis, consent, known=known.judgements)
        places = {decision_of(row): place for place, row in enumerate(own)}
        if len(places) == len(own):
            strands = ((Track.BASIS, basis), (Track.CONSENT, consent))
            ids = [one.decision_id for track, one in strands if track in judgement.tracks]
            known.shapes[shape] = Shaped(judgement, tuple(places[name] for name in ids if name is not None))
    return verdict_of(catalogue, question, situation, known.judgements)


def _basis(own: PersonRows, places: Sequence[int]) -> Basis:
    if len(places) == 1:
        return Basis(decision_of(own[places[0]]))
    return Basis("/".join([decision_of(own[place]) for place in places])) if places else NO_BASIS
