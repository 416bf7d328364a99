"""Which webhook targets there are; their secrets are sealed."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from consentry.stores.tables import webhook_target
from kernel.errors import NotFound


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """One address that is told of what closes.

    Attributes:
        recipient: the code of the recipient behind it, or ``*joint``.
        secret, former: sealed; the former one signs as well until ``former_until``.
        disabled_why: ``operator`` or ``gone``; None while it is told.
    """

    target_id: str
    recipient: str
    url: str
    created_at: datetime
    secret: bytes = field(repr=False)
    former: bytes | None = field(default=None, repr=False)
    former_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_why: str | None = None

    @property
    def is_enabled(self) -> bool:
        """Whether it is told."""
        return self.disabled_at is None


def add_target(connection: Connection, target: WebhookTarget) -> None:
    """Remember a target."""
    connection.execute(insert(webhook_target), {name: getattr(target, name) for name in WebhookTarget.__slots__})


def list_targets(connection: Connection, *, enabled_only: bool = False) -> list[WebhookTarget]:
    """Return the targets, oldest first."""
    query = select(webhook_target).order_by(webhook_target.c.created_at, webhook_target.c.target_id)
    if enabled_only:
        query = query.where(webhook_target.c.disabled_at.is_(None))
    return [_target(row) for row in connection.execute(query)]


def get_target(connection: Connection, target_id: str) -> WebhookTarget:
    """Return one target; raises ``NotFound``."""
    row = connection.execute(select(webhook_target).where(webhook_target.c.target_id == target_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no webhook {target_id}", hint="`consentry webhook list` names them.")
    return _target(row)


def change_target(connection: Connection, target_id: str, **values: object) -> None:
    """Set columns of a target."""
    connection.execute(update(webhook_target).where(webhook_target.c.target_id == target_id).values(**values))


def _target(row: Row[Any]) -> WebhookTarget:
    return WebhookTarget(**{name: getattr(row, name) for name in WebhookTarget.__slots__})
