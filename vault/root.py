"""The root key's change: living epoch keys are wrapped anew, under its newest version or by another custodian."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, select, update

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consent.wake import no_point
from kernel.database import Database
from kernel.errors import BadInput
from vault._keyring import keyring_of
from vault.custodian import Custodian
from vault.keystore import KeyStore
from vault.scrubbing import flush_log
from vault.tables import epoch


@dataclass(frozen=True, slots=True)
class RootChange:
    """What became of the epoch keys.

    Attributes:
        before: name of the custodian that is configured.
        after: name of the one that wraps them now; the same where only its key is newer.
        rewrapped: how many epoch keys.
    """

    before: str
    after: str
    rewrapped: int


def rewrap_root(
    keystore: KeyStore,
    data: Database,
    log: EntryLog,
    *,
    to: Custodian | None,
    asking: Asking,
    at: Callable[[str], None] = no_point,
) -> RootChange:
    """Wrap every living epoch key anew; data keys and values stay as they are.

    Each epoch's row changes in a transaction of its own, and every state between is whole: a crash leaves some epochs
    under the old root, and the next call goes on. Whoever works meanwhile needs a custodian that reads both roots
    (``EitherCustodian``). An entry stands before the first change and another after the last.

    Args:
        keystore, data, log: of the deployment; the key store's custodian reads what is wrapped now.
        to: another custodian; None for the newest version of the same one's key.
        asking: who asks.
        at: called at each point where a crash leaves another state, with its name.

    Raises:
        BadInput: another custodian must be named, because the key has no versions, or the named one is the same.
        IntegrityFailed: a wrapped key was changed, or the new custodian does not give a key back.
        RootKeyWrong: neither custodian wrapped an epoch's key.
        Unavailable: a custodian does not answer in time, fails or refuses; epochs that were rewrapped stay so.
    """
    keyring = keyring_of(keystore)
    change = _planned(keyring.custodian_name, to)
    event = replace(event_of(asking, Act.ROOT_REWRAPPING), refs={"from": change.before, "to": change.after})
    with data.write() as connection:
        log.record(connection, event)
    at("root.announced")
    done: set[str] = set()
    while fresh := [row for row in _living(keystore) if row.epoch_id not in done]:
        for row in fresh:
            _rewrap(keystore, row, to, at)
            done.add(row.epoch_id)
    flush_log(keystore.database)
    event = replace(event, act=Act.ROOT_REWRAPPED, counts={"epochs": len(done)})
    with data.write() as connection:
        log.record(connection, event)
    return replace(change, rewrapped=len(done))


def _planned(before: str, to: Custodian | None) -> RootChange:
    if to is None and before.startswith("keyfile:"):
        raise BadInput("A root key in a file has no newer version", hint="Name another custodian's settings with --to.")
    if to is not None and to.name == before:
        raise BadInput("The root key is the one that is configured", hint="Name another one, or leave out --to.")
    return RootChange(before, before if to is None else to.name, 0)


def _living(keystore: KeyStore) -> Sequence[Row[Any]]:
    with keystore.database.read() as connection:
        return connection.execute(select(epoch).where(epoch.c.wrapped.is_not(None)).order_by(epoch.c.opened_at)).all()


def _rewrap(keystore: KeyStore, row: Row[Any], to: Custodian | None, at: Callable[[str], None]) -> None:
    """Change one epoch's row, unless somebody else was faster; what wrapped it before is destroyed afterwards."""
    keyring = keyring_of(keystore)
    blob = keyring.rewrapped_epoch(row, to)
    at("root.wrapped")
    own = epoch.c.epoch_id == row.epoch_id
    with keystore.database.write() as connection:
        connection.execute(update(epoch).where(own, epoch.c.wrapped == row.wrapped).values(wrapped=blob))
        stands = connection.execute(select(epoch.c.wrapped).where(own)).scalar_one()
    at("root.replaced")
    keyring.destroy_epoch(row.epoch_id, row.suite, keep=stands, also=to)
