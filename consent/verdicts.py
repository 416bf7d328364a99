"""Applies the rule to a batch: subjects in the same situation share one judgement, so that a cohort costs little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NewType

from consent.reasons import Reason
from consent.rules import Question, Situation, Strand, Track, judge, rests_on, strand
from consent.standing import Standing
from kernel.catalogue import Catalogue
from kernel.ids import SubjectId

Basis = NewType("Basis", str)
"""Decision ids joined by ``/``, or ``none``."""

NO_BASIS: Final = Basis("none")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What holds for every subject in one situation.

    Attributes:
        reasons: for each asked field why it may not be used, or None.
        passed: the fields that may be used.
        refused: the fields that may not, with their reasons.
        tracks: the live tracks that the passed fields rest on.
    """

    reasons: Mapping[str, Reason | None]
    passed: frozenset[str]
    refused: Mapping[str, Reason]
    tracks: frozenset[Track]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One subject's judgement and the decisions it rests on."""

    judgement: Judgement
    basis: Basis

    @property
    def passed(self) -> frozenset[str]:
        """The fields that may be used."""
        return self.judgement.passed

    @property
    def refused(self) -> Mapping[str, Reason]:
        """The fields that may not be used, with their reasons."""
        return self.judgement.refused


def decide(
    catalogue: Catalogue, question: Question, situations: Mapping[SubjectId, Situation], batch: Sequence[SubjectId]
) -> dict[SubjectId, Verdict]:
    """Return the verdict for every subject of the batch; one without situation is not registered."""
    known: dict[_Alike, Judgement] = {}
    verdicts = {}
    for subject in batch:
        situation = situations.get(subject, _UNKNOWN)
        basis = strand(question, situation.current, Track.BASIS, situation.childhood_until)
        consent = strand(question, situation.current, Track.CONSENT, situation.childhood_until)
        state = situation.state if situation is not _UNKNOWN else None
        alike = (state, basis.reason, basis.fields, consent.reason, consent.fields)
        judgement = known.get(alike)
        if judgement is None:
            judgement = known[alike] = _judge(catalogue, question, state, basis, consent)
        verdicts[subject] = Verdict(judgement, _basis(judgement, basis, consent))
    return verdicts


_UNKNOWN: Final = Situation(Standing.ACTIVE, None, [])
"""Stands in for a subject without row; its state is never looked at."""

_Alike = tuple[Standing | None, Reason | None, frozenset[str] | None, Reason | None, frozenset[str] | None]


def _judge(
    catalogue: Catalogue, question: Question, state: Standing | None, basis: Strand, consent: Strand
) -> Judgement:
    reasons = judge(catalogue, question, state, basis, consent)
    passed = frozenset(code for code, reason in reasons.items() if reason is None)
    strands = {Track.BASIS: basis, Track.CONSENT: consent}
    tracks = frozenset(
        track
        for code in passed
        for track in rests_on(question.purpose, catalogue.fields[code])
        if strands[track].why_not(code) is None
    )
    refused = {code: reason for code, reason in reasons.items() if reason is not None}
    return Judgement(reasons, passed, refused, tracks)


def _basis(judgement: Judgement, basis: Strand, consent: Strand) -> Basis:
    ids = [
        found.decision_id
        for track, found in ((Track.BASIS, basis), (Track.CONSENT, consent))
        if track in judgement.tracks and found.decision_id is not None
    ]
    return Basis("/".join(ids)) if ids else NO_BASIS
