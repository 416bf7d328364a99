"""Acts that come with a subject token: who acted is filled in from the token, never from the body."""

from typing import Final

from consent.registry import DecisionAct
from consentry.acts import Actor, ConsentAct, SubjectReference
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.denials import record_denial
from consentry.workflows.representation import acting_for, subject_named
from kernel.errors import BadInput, Denied
from kernel.ids import SubjectId

OWN_ACTS: Final = frozenset({DecisionAct.GRANT, DecisionAct.RENEW, DecisionAct.REFUSE, DecisionAct.WITHDRAW})
"""What a person decides; contracts, duties, their end, guardians and agents are recorded by the operator."""


class NotOwnAct(Denied):
    """A subject token came with an act that only the operator records."""


def own_act(platform: Platform, caller: Principal, act: ConsentAct) -> ConsentAct:
    """Return an act as it is recorded: a subject token's with its true actor, every other one as it is.

    Raises:
        NotOwnAct: the operator's act under a subject token.
        NotRepresented: the token's person may not speak for the subject; nor is told whether there is one.
        BadInput: the subject is named by what identifies people and not by its id.
    """
    if caller.subject is None:
        return act
    if act.act not in OWN_ACTS:
        record_denial(platform, caller, reason="OWN_ACT", refs={"act": act.act})
        raise NotOwnAct(f"A subject token cannot record {act.act}", hint="Send it with a capture key.")
    acting = acting_for(platform, caller, _subject(platform, caller, act.subject))
    actor = {"kind": acting.kind.value, "subject": None if acting.actor is None else {"subject_id": acting.actor}}
    known = SubjectReference(subject_id=acting.subject)
    return act.model_copy(update={"subject": known, "actor": Actor.model_validate(actor)})


def _subject(platform: Platform, caller: Principal, reference: SubjectReference) -> SubjectId | None:
    if reference.subject_id is not None:
        return subject_named(caller, reference.subject_id)
    if reference.source is None or reference.id is None or reference.id_number or reference.mobile:
        raise BadInput(
            "A subject token names a subject by `me`, by our id or by the source's id", hint="Leave the rest out."
        )
    return platform.resolver.find(reference.source, reference.id)
