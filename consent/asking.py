"""Who is asking: carried by every act of this package into its audit entry."""

from dataclasses import dataclass, field

from kernel.ids import RequestId


@dataclass(frozen=True, slots=True)
class Asking:
    """The authenticated caller of one request.

    Attributes:
        actor: the principal's id.
        role: the single role it acts in.
        request_id: chains the entries of one request.
        reason: the stated reason, for roles that must give one; free of field values.
        accepted_by: id of the second person, for acts for which two must stand.
    """

    actor: str
    role: str
    request_id: RequestId
    reason: str | None = field(default=None, repr=False)
    accepted_by: str | None = None
