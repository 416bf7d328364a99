"""The entries of the gate's answers; however large a batch is, its entry stays small."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.entries import event_of
from consent.rules import Question
from consent.verdicts import Verdict
from kernel.catalogue import Catalogue
from kernel.ids import PermitId, SubjectId


def permit_event(
    asking: Asking, question: Question, verdicts: Mapping[SubjectId, Verdict], permit_id: PermitId, catalogue: Catalogue
) -> Event:
    """Return the entry of a permit.

    The permit for a batch names the decisions that it rests on by a digest over their random ids; they are found again
    through the subjects.
    """
    fields = frozenset[str]().union(*{verdict.passed for verdict in verdicts.values()})
    return replace(
        event_of(asking, Act.PERMIT, Outcome.ALLOWED),
        purpose=question.purpose.code,
        recipient=question.recipient,
        fields=tuple(sorted(fields)),
        level=_level(fields, catalogue),
        refs={"permit": permit_id, "catalogue": catalogue.hash, "decisions": _decisions(verdicts)},
    )


def refusal_event(
    asking: Asking, question: Question, verdicts: Mapping[SubjectId, Verdict], catalogue: Catalogue
) -> Event:
    """Return the entry of refusals; ``counts`` holds the number of refused fields over all subjects by reason.

    A field that the catalogue does not know is counted, not named: its name was written outside and may be anything.
    """
    alike = Counter(id(verdict.judgement) for verdict in verdicts.values())
    judgements = {id(verdict.judgement): verdict.judgement for verdict in verdicts.values()}
    counts: Counter[str] = Counter()
    for key, judgement in judgements.items():
        for reason in judgement.refused.values():
            counts[reason.value] += alike[key]
    fields = frozenset[str]().union(*(judgement.refused for judgement in judgements.values()))
    known = fields & catalogue.fields.keys()
    return replace(
        event_of(asking, Act.REFUSAL, Outcome.DENIED),
        purpose=question.purpose.code,
        recipient=question.recipient,
        fields=tuple(sorted(known)),
        level=_level(known, catalogue),
        reason=counts.most_common(1)[0][0],
        counts=dict(sorted(counts.items())),
        refs={"catalogue": catalogue.hash},
    )


def _level(fields: frozenset[str], catalogue: Catalogue) -> int | None:
    return max((catalogue.fields[code].level for code in fields), default=None)


def _decisions(verdicts: Mapping[SubjectId, Verdict]) -> str:
    return sha256("\n".join(sorted(verdict.basis for verdict in verdicts.values())).encode()).hexdigest()
