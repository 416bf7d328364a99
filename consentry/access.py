"""Who may do what: role, act, purpose and field level, as data of the pack; default deny (R47)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from consentry.principals import Principal
from kernel.catalogue import Catalogue, LawfulBasis
from kernel.errors import Denied

CASE_LEVEL = 5
"""What nobody opens without a case of its own (GB/T 39725, 45574; R49)."""


class RuleDenied(Denied):
    """A rule of reading refuses; ``rule`` is the reason in the entry."""

    rule: ClassVar[str] = "ROLE"


@dataclass(frozen=True, slots=True)
class Reach:
    """How a role sees the fields that were asked for.

    Attributes:
        masked: those of which it sees what the masks leave.
        cased: those that open under a case grant, or in an emergency, only.
    """

    masked: frozenset[str]
    cased: frozenset[str]


def can_act(catalogue: Catalogue, caller: Principal, act: str) -> bool:
    """Say whether the caller's role lists the act."""
    role = catalogue.roles.get(caller.role)
    return role is not None and act in role.acts


def check_may_act(catalogue: Catalogue, caller: Principal, act: str) -> None:
    """Raise ``Denied`` unless the caller's role lists the act."""
    if not can_act(catalogue, caller, act):
        raise Denied(f"Role {caller.role!r} may not do {act!r}", hint="Ask someone whose role allows it.")


def reach_of(
    catalogue: Catalogue, caller: Principal, *, purpose: str, fields: Collection[str], act: str = "vault.reveal"
) -> Reach:
    """Return how the role sees these fields for this purpose.

    A field outside the catalogue is left to the gate, which refuses it by name.

    Raises:
        Denied: the role does not open, not for this purpose, or not all of these fields.
    """
    check_may_act(catalogue, caller, act)
    role = catalogue.get_role(caller.role)
    if purpose not in role.purposes:
        raise Denied(
            f"Role {caller.role!r} may not open for purpose {purpose}", hint="State the purpose you work under."
        )
    known = {code: catalogue.fields[code] for code in fields if code in catalogue.fields}
    masked = frozenset(known.keys() & role.masked_fields)
    if role.fields is not None and (outside := known.keys() - role.fields - masked):
        raise _beyond(caller, outside)
    above = frozenset(code for code in known.keys() - masked if known[code].level > role.max_level)
    cased = frozenset(code for code in above if known[code].level <= (role.case_level or 0))
    if above - cased:
        raise _beyond(caller, above - cased)
    return Reach(masked, cased)


def is_emergency(catalogue: Catalogue, purpose: str) -> bool:
    """Say whether a purpose rests on an emergency, so that a record is opened for it by breaking the glass only."""
    declared = catalogue.purposes.get(purpose)
    return declared is not None and LawfulBasis.EMERGENCY in declared.bases


def _beyond(caller: Principal, codes: Collection[str]) -> Denied:
    return Denied(f"Role {caller.role!r} may not open {', '.join(sorted(codes))}", hint="Leave these fields out.")
