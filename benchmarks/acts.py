"""Consent acts for people whose data came without any: what an app would have sent before the data."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final, TypeAlias

from consent.ages import AgeClass, class_of_birth
from kernel.catalogue import Catalogue
from kernel.clock import format_instant
from kernel.encoding import JsonValue

Act: TypeAlias = dict[str, JsonValue]
Reference: TypeAlias = Mapping[str, JsonValue]

CONTRACTS: Final = ("P01", "P02", "P04")
DUTIES: Final = ("P05", "P13")
FOR_CHILDREN: Final = "child"
"""The audience of the notice under which a guardian decides; what it does not name is not asked of a child."""

LOCALE: Final = "zh-CN"

_AHEAD: Final = timedelta(days=1)


class Desk:
    """Writes acts one after the other, all of the day before ``now``."""

    def __init__(self, catalogue: Catalogue, *, now: datetime) -> None:
        self._catalogue = catalogue
        self._start = now - _AHEAD
        self._numbers = count(1)
        self.acts: list[Act] = []

    def register(self, person: Reference) -> None:
        """Write contracts and duties; the first contract identifies the person and opens the account."""
        self._add("contract", person, CONTRACTS, actor={"kind": "operator"})
        self._add("duty", _bare(person), DUTIES, actor={"kind": "operator"})

    def grant(self, person: Reference, purposes: Sequence[str], *, guardian: Reference | None = None) -> None:
        """Write one separate grant for each purpose, and for each recipient that the pack names where it needs one.

        What the notice for children does not name is not asked for a child.
        """
        for purpose in purposes:
            declared = self._catalogue.get_purpose(purpose)
            notice = self._notice(purpose, of_child=guardian is not None)
            if notice is None:
                continue
            for recipient in declared.recipients if declared.per_recipient else (None,):
                to = {} if recipient is None else {"recipient": recipient}
                self._add("grant", _bare(person), (purpose,), actor=_actor(guardian), notice=notice, **to)

    def give_guardian(self, child: Reference, guardian: Reference) -> None:
        """Record a verified guardian, who concludes the contracts again in the child's name."""
        self._add("guardian", _bare(child), (), actor=_actor(guardian), mechanism="document_check")
        self._add("contract", child, CONTRACTS, actor=_actor(guardian))
        self._add("duty", _bare(child), DUTIES, actor=_actor(guardian))

    def write(self, path: Path) -> Path:
        """Write the acts as NDJSON and return the path."""
        path.write_text("".join(json.dumps(act, ensure_ascii=False) + "\n" for act in self.acts), encoding="utf-8")
        return path

    def _notice(self, purpose: str, *, of_child: bool) -> dict[str, JsonValue] | None:
        texts = [n for n in self._catalogue.notices if purpose in n.purposes and n.locale == LOCALE]
        chosen = next((n for n in texts if (n.audience == FOR_CHILDREN) == of_child), None)
        if chosen is None:
            return None
        return {"code": chosen.code, "version": chosen.version, "locale": chosen.locale}

    def _add(
        self,
        act: str,
        person: Reference,
        purposes: Sequence[str],
        *,
        mechanism: str = "tapped_button",
        **more: JsonValue,
    ) -> None:
        number = next(self._numbers)
        made: Act = {
            "act_id": f"act-{number:06d}",
            "act": act,
            "subject": dict(person),
            "purposes": list(purposes),
            "at": format_instant(self._start + timedelta(milliseconds=number)),
            "evidence": {"mechanism": mechanism},
        }
        self.acts.append(made | more)


def is_child(birth_date: date, today: date) -> bool:
    """Say whether a guardian has to decide."""
    return class_of_birth(birth_date, today)[0] is AgeClass.UNDER_14


def is_adult(birth_date: date, today: date) -> bool:
    """Say whether the person can be a guardian."""
    return class_of_birth(birth_date, today)[0] is AgeClass.ADULT


def _actor(guardian: Reference | None) -> Act:
    return {"kind": "self"} if guardian is None else {"kind": "guardian", "subject": dict(_bare(guardian))}


def _bare(person: Reference) -> dict[str, JsonValue]:
    """Return the reference without what identifies the person: enough once the account is open."""
    return {"source": person["source"], "id": person["id"]}
