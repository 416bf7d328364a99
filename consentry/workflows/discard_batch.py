"""Take back an ingestion that was interrupted and will not be resumed."""

from typing import Final

from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.errors import NotFound
from kernel.ids import BatchId
from vault.batches import Batch


def discard_batch(platform: Platform, caller: Principal, batch_id: str) -> Batch:
    """Remove an open batch's rows, and the keys and links that only it made.

    Returns:
        The batch as it stood.
    Raises:
        NotFound: there is no such batch; the hint names those that are open.
        Conflict: it is complete.
    """
    check_may_act(platform.catalogue, caller, "records.ingest")
    batch = _known(platform, BatchId(batch_id))
    platform.batches.discard(batch.batch_id, asking=platform.asking(caller))
    return batch


_NAMED: Final = 5
"""Open batches that a hint names, the newest first."""


def _known(platform: Platform, batch_id: BatchId) -> Batch:
    with platform.data.read() as connection:
        try:
            return platform.batches.get(connection, batch_id)
        except NotFound as err:
            waiting = [one.batch_id for one in platform.batches.unfinished(connection)]
            named = ", ".join(reversed(waiting[-_NAMED:]))
            more = f" and {len(waiting) - _NAMED} older ones" if len(waiting) > _NAMED else ""
            hint = f"Open are {named}{more}." if waiting else "No batch is open: there is nothing to take back."
            raise NotFound(err.message, hint=hint) from None
