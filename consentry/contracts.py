"""The contract behind a processor's key: the key works while it stands, and for nothing else than it says (R38)."""

from collections.abc import Collection

from sqlalchemy import Connection

from consent.entries import now_in_log
from consent.mandates import Mandate, outside, read_mandate
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.errors import Denied


class OutsideContract(Denied):
    """A processor's key was used after the end of its contract, or for what the contract does not name."""

    def __init__(self, message: str, *, processor: str, rule: str) -> None:
        super().__init__(message, hint="See the contract by `consentry register recipient show`.")
        self.processor = processor
        self.rule = rule


def find_mandate(platform: Platform, connection: Connection, caller: Principal) -> Mandate | None:
    """Return what the contract behind a key allows now; None for whoever no contract binds."""
    if caller.processor is None:
        return None
    return read_mandate(connection, caller.processor, now_in_log(connection, platform.log, platform.clock))


def check_stands(mandate: Mandate | None) -> None:
    """Raise ``OutsideContract`` unless the processor may do anything at all."""
    if mandate is not None and not mandate.stands:
        raise OutsideContract(
            f"Processor {mandate.code} may do nothing now: {mandate.rule.value}",
            processor=mandate.code,
            rule=mandate.rule.value,
        )


def check_purposes(mandate: Mandate | None, purposes: Collection[str]) -> None:
    """Raise ``OutsideContract`` unless the contract covers every purpose; what names none concerns all of them."""
    check_stands(mandate)
    if mandate is None:
        return
    beyond = outside(mandate, purposes)
    if beyond or not purposes:
        raise OutsideContract(
            f"The contract of processor {mandate.code} does not cover {', '.join(beyond) or 'every purpose'}",
            processor=mandate.code,
            rule="purpose",
        )
