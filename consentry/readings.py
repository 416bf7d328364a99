"""One reading: who wants to open what of whom, for which purpose and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from consent.asking import Asking
from consentry.principals import Principal
from kernel.ids import SubjectId


@dataclass(frozen=True, slots=True)
class Reading:
    """A person of staff, and fields of one subject.

    Attributes:
        asking: of the request; its reason are the caller's own words, sealed beside the entries.
        fields: codes.
        refs: what the entries name beside it, such as a ticket.
        of_file: whether a file is asked for, and not values.
    """

    caller: Principal
    asking: Asking
    subject: SubjectId
    purpose: str
    fields: frozenset[str]
    refs: Mapping[str, str] = field(default_factory=dict)
    of_file: bool = False
