"""The entries of the gate's answers; however large a batch is, its entry stays small."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.entries import details_of
from consent.rules import Question
from consent.uses import used_refs
from consent.verdicts import Verdict
from kernel.catalogue import Catalogue
from kernel.ids import PermitId, SubjectId


def permit_event(
    asking: Asking, question: Question, verdicts: Mapping[SubjectId, Verdict], permit_id: PermitId, catalogue: Catalogue
) -> Event:
    """Return the entry of a permit for a batch.

    It names the decisions that it rests on by a digest over their random ids; they are found again through the
    subjects.
    """
    fields = frozenset[str]().union(*{verdict.passed for verdict in verdicts.values()})
    bases = "\n".join(sorted(verdict.basis for verdict in verdicts.values()))
    return Event(
        Act.PERMIT,
        Outcome.ALLOWED,
        asking.actor,
        asking.role,
        asking.request_id,
        question.purpose.code,
        question.recipient,
        cohort=tuple(verdicts),
        fields=tuple(sorted(fields)),
        level=_level(fields, catalogue),
        refs=_refs(permit_id, catalogue, bases) | used_refs(_used(verdicts.values())),
        details=details_of(asking),
    )


def permit_event_of_one(
    asking: Asking,
    question: Question,
    subject: SubjectId,
    verdict: Verdict,
    *,
    permit_id: PermitId,
    catalogue: Catalogue,
) -> Event:
    """Return the entry of a permit for one subject; it names its decisions themselves."""
    fields = verdict.passed
    return Event(
        Act.PERMIT,
        Outcome.ALLOWED,
        asking.actor,
        asking.role,
        asking.request_id,
        question.purpose.code,
        question.recipient,
        subject,
        fields=question.fields if len(fields) == len(question.fields) else tuple(sorted(fields)),
        level=_level(fields, catalogue),
        basis=verdict.basis,
        refs=_refs(permit_id, catalogue, verdict.basis) | (used_refs(_used([verdict])) if verdict.spends else {}),
        details=details_of(asking),
    )


def refusal_event(
    asking: Asking,
    question: Question,
    verdicts: Mapping[SubjectId, Verdict],
    catalogue: Catalogue,
    *,
    subject: SubjectId | None = None,
) -> Event:
    """Return the entry of refusals; ``counts`` holds the number of refused fields over all subjects by reason.

    A field that the catalogue does not know is counted, not named: its name was written outside and may be anything.

    Args:
        asking: who asked.
        question: what was asked.
        verdicts: of those with a refused field.
        catalogue: the pack.
        subject: the only one asked about, or None for a batch.
    """
    alike = Counter(id(verdict.judgement) for verdict in verdicts.values())
    judgements = {id(verdict.judgement): verdict.judgement for verdict in verdicts.values()}
    counts: Counter[str] = Counter()
    for key, judgement in judgements.items():
        for reason in judgement.refused.values():
            counts[reason.value] += alike[key]
    fields = frozenset[str]().union(*(judgement.refused for judgement in judgements.values()))
    known = fields & catalogue.fields.keys()
    return Event(
        Act.REFUSAL,
        Outcome.DENIED,
        asking.actor,
        asking.role,
        asking.request_id,
        question.purpose.code,
        question.recipient,
        subject,
        cohort=() if subject is not None else tuple(verdicts),
        fields=tuple(sorted(known)),
        level=_level(known, catalogue),
        reason=counts.most_common(1)[0][0],
        counts=dict(sorted(counts.items())),
        refs={"catalogue": catalogue.hash},
        details=details_of(asking),
    )


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """What an entry says of one batch of a cohort.

    Attributes:
        cohort_id: under which the verdicts are stored.
        number: of the batch, from 1.
        digest: SHA-256 over the batch's verdict rows, in hexadecimal.
        subjects: the permitted, or those with a refused field.
        fields: those that passed, or were refused, for at least one.
        reasons: for refusals the number of refused fields by reason.
    """

    cohort_id: str
    number: int
    digest: str
    subjects: int
    fields: frozenset[str]
    reasons: Mapping[str, int]

    @property
    def refs(self) -> dict[str, str]:
        """What names the batch in its entry."""
        return {"cohort": self.cohort_id, "batch": str(self.number), "members": self.digest}


def batch_permit_event(
    asking: Asking,
    question: Question,
    facts: BatchFacts,
    *,
    permit_id: PermitId,
    catalogue: Catalogue,
    used: Iterable[str] = (),
) -> Event:
    """Return the entry that permits what passed in one batch of a cohort; its members stand in ``cohort_verdict``.

    Args:
        asking: who asked.
        question: what was asked.
        facts: of those who are permitted.
        permit_id: of the batch.
        catalogue: the pack.
        used: the decisions that the permit took a use of.
    """
    return Event(
        Act.PERMIT,
        Outcome.ALLOWED,
        asking.actor,
        asking.role,
        asking.request_id,
        question.purpose.code,
        question.recipient,
        fields=tuple(sorted(facts.fields)),
        level=_level(facts.fields, catalogue),
        counts={"subjects": facts.subjects},
        refs={"permit": permit_id, "catalogue": catalogue.hash, **facts.refs, **used_refs(used)},
        details=details_of(asking),
    )


def batch_refusal_event(asking: Asking, question: Question, facts: BatchFacts, catalogue: Catalogue) -> Event:
    """Return the entry of what did not pass in one batch of a cohort; see ``refusal_event``."""
    known = facts.fields & catalogue.fields.keys()
    return Event(
        Act.REFUSAL,
        Outcome.DENIED,
        asking.actor,
        asking.role,
        asking.request_id,
        question.purpose.code,
        question.recipient,
        fields=tuple(sorted(known)),
        level=_level(known, catalogue),
        reason=max(sorted(facts.reasons), key=lambda reason: facts.reasons[reason]),
        counts={"subjects": facts.subjects, **dict(sorted(facts.reasons.items()))},
        refs={"catalogue": catalogue.hash, **facts.refs},
        details=details_of(asking),
    )


def _used(verdicts: Iterable[Verdict]) -> Iterator[str]:
    return (row.decision_id for verdict in verdicts for row in verdict.spends)


def _refs(permit_id: PermitId, catalogue: Catalogue, bases: str) -> dict[str, str]:
    return {"permit": permit_id, "catalogue": catalogue.hash, "decisions": sha256(bases.encode()).hexdigest()}


def _level(fields: frozenset[str], catalogue: Catalogue) -> int | None:
    return max([catalogue.fields[code].level for code in fields], default=None)
