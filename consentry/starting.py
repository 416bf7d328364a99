"""What every start finishes: erasures, moves, discarded batches and tombstones that a crash or a restored copy left.

First the log is looked at. Nothing is destroyed, deleted or added on the word of a store that is not the one that was
signed: whoever put it back, or recovers the log, decides first.
"""

from typing import TYPE_CHECKING, Final

import structlog

from consent.wake import system_asking
from consentry.restore_marker import tell_restored
from kernel.errors import ConsentryError

if TYPE_CHECKING:
    from consentry.platform import Platform

LEFT: Final = "start.left_unfinished"
"""Event of the process's own log: the interrupted work waits for the next start."""


def finish_interrupted(platform: "Platform") -> bool:
    """Finish what was interrupted, where the log is the one that was signed; says whether it was looked for."""
    try:
        platform.log.checkpointer.check()
    except ConsentryError as err:
        structlog.get_logger().warning(LEFT, problem=err.message)
        return False
    platform.eraser.resume()
    platform.mover.resume()
    platform.corrector.resume()
    platform.returner.resume()
    if platform.replayer.is_due():
        platform.replayer.replay(asking=system_asking())
    tell_restored(platform)
    platform.eraser.confirm_final(asking=system_asking())
    platform.batches.finish_discards()
    platform.attachments.uploads.sweep_stale()
    platform.sweeper.resume()
    platform.products.sweep()
    return True
