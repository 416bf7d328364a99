"""Applies the rule to a batch: subjects in the same situation share one judgement, so that a cohort costs little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, NewType

from consent.reasons import Reason
from consent.rules import Current, Question, Situation, Strand, Track, judge, rests_on, strand
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


class Verdict(NamedTuple):
    """One subject's judgement and the decisions it rests on; a permit takes one use of each of ``spends``.

    A tuple, because a batch makes thousands.
    """

    judgement: Judgement
    basis: Basis
    spends: tuple[Current, ...] = ()

    @property
    def passed(self) -> frozenset[str]:
        """The fields that may be used."""
        return self.judgement.passed

    @property
    def refused(self) -> Mapping[str, Reason]:
        """The fields that may not be used, with their reasons."""
        return self.judgement.refused


_Fields = frozenset[str]
Alike = tuple[Standing | None, Reason | None, _Fields | None, _Fields, Reason | None, _Fields | None, _Fields]
"""All of a situation that a judgement depends on, beside the question."""


def decide(
    catalogue: Catalogue,
    question: Question,
    situations: Mapping[SubjectId, Situation],
    batch: Sequence[SubjectId],
    known: dict[Alike, Judgement] | None = None,
) -> dict[SubjectId, Verdict]:
    """Return the verdict for every subject of the batch; one without situation is not registered.

    Args:
        catalogue: the pack.
        question: what is asked.
        situations: of those subjects that are registered.
        batch: the subjects.
        known: judgements of earlier batches with the same purpose, recipient, fields and terms; filled on the way.
    """
    known = {} if known is None else known
    return {subject: verdict_of(catalogue, question, situations.get(subject), known) for subject in batch}


def verdict_of(
    catalogue: Catalogue, question: Question, situation: Situation | None, known: dict[Alike, Judgement]
) -> Verdict:
    """Return the verdict for one subject, by a known judgement where somebody was in the same situation before."""
    state, basis, consent = strands_of(question, situation)
    judgement = judgement_of(catalogue, question, state, basis, consent, known=known)
    return Verdict(judgement, _basis(judgement, basis, consent), _spends(judgement, basis, consent))


def strands_of(question: Question, situation: Situation | None) -> tuple[Standing | None, Strand, Strand]:
    """Return a subject's standing, and what its two tracks answer."""
    if situation is None:
        return None, _NOTHING_KNOWN, _NOTHING_KNOWN
    basis = strand(question, situation.current, Track.BASIS, situation.childhood_until)
    consent = strand(question, situation.current, Track.CONSENT, situation.childhood_until)
    return situation.state, basis, consent


def judgement_of(
    catalogue: Catalogue,
    question: Question,
    state: Standing | None,
    basis: Strand,
    consent: Strand,
    *,
    known: dict[Alike, Judgement],
) -> Judgement:
    """Return what holds for everybody with this standing and these strands, as it is known or made now."""
    alike = (
        state, basis.reason, basis.fields, basis.uncovered, consent.reason, consent.fields, consent.uncovered
    )  # fmt: skip
    judgement = known.get(alike)
    if judgement is None:
        judgement = known[alike] = judge_alike(catalogue, question, state, basis, consent)
    return judgement


_NOTHING_KNOWN: Final = Strand(Reason.NO_DECISION)


def judge_alike(
    catalogue: Catalogue, question: Question, state: Standing | None, basis: Strand, consent: Strand
) -> Judgement:
    """Return what holds for everybody with this standing and these strands."""
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
    tracks = judgement.tracks
    by_basis = basis.decision_id if Track.BASIS in tracks else None
    by_consent = consent.decision_id if Track.CONSENT in tracks else None
    if by_basis is not None and by_consent is not None:
        return Basis(f"{by_basis}/{by_consent}")
    return Basis(by_basis or by_consent or NO_BASIS)


def _spends(judgement: Judgement, basis: Strand, consent: Strand) -> tuple[Current, ...]:
    if basis.limited is None and consent.limited is None:
        return ()
    limited = (basis.limited, consent.limited)
    return tuple(row for row in limited if row is not None and row.track in judgement.tracks)
