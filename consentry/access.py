"""Who may do what: role, act, purpose and field level, as data of the pack; default deny (R47)."""

from collections.abc import Collection

from consentry.principals import Principal
from kernel.catalogue import Catalogue
from kernel.errors import Denied


def can_act(catalogue: Catalogue, caller: Principal, act: str) -> bool:
    """Say whether the caller's role lists the act."""
    role = catalogue.roles.get(caller.role)
    return role is not None and act in role.acts


def check_may_act(catalogue: Catalogue, caller: Principal, act: str) -> None:
    """Raise ``Denied`` unless the caller's role lists the act."""
    if not can_act(catalogue, caller, act):
        raise Denied(f"Role {caller.role!r} may not do {act!r}", hint="Ask someone whose role allows it.")


def check_may_open(catalogue: Catalogue, caller: Principal, *, purpose: str, fields: Collection[str]) -> None:
    """Raise ``Denied`` unless the role may open these fields for this purpose.

    A field outside the catalogue is left to the gate, which refuses it by name.
    """
    check_may_act(catalogue, caller, "vault.reveal")
    role = catalogue.get_role(caller.role)
    if purpose not in role.purposes:
        raise Denied(
            f"Role {caller.role!r} may not open for purpose {purpose}", hint="State the purpose you work under."
        )
    known = [catalogue.fields[code] for code in fields if code in catalogue.fields]
    above = sorted(f.code for f in known if f.level > role.max_level)
    outside = sorted(f.code for f in known if role.fields is not None and f.code not in role.fields)
    if above or outside:
        names = ", ".join(dict.fromkeys([*above, *outside]))
        raise Denied(f"Role {caller.role!r} may not open {names}", hint="Leave these fields out.")
