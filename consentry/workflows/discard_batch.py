"""Take back an ingestion that was interrupted and will not be resumed."""

from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.ids import BatchId
from vault.batches import Batch


def discard_batch(platform: Platform, caller: Principal, batch_id: str) -> Batch:
    """Remove an open batch's rows, and the keys and links that only it made.

    Returns:
        The batch as it stood.
    Raises:
        NotFound: there is no such batch.
        Conflict: it is complete.
    """
    check_may_act(platform.catalogue, caller, "records.ingest")
    with platform.data.read() as connection:
        batch = platform.batches.get(connection, BatchId(batch_id))
    platform.batches.discard(batch.batch_id, asking=platform.asking(caller))
    return batch
