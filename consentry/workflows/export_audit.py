"""Hand the log over for offline verification."""

from pathlib import Path

from audit.events import Act, Event, Outcome
from audit.export import ExportSummary
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal


def export_audit(platform: Platform, caller: Principal, folder: Path) -> ExportSummary:
    """Write the whole log, this act included, into a new folder.

    Raises:
        Denied: the role may not export the log.
        BadInput: the folder is not empty.
    """
    check_may_act(platform.catalogue, caller, "audit.export")
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        platform.log.record(
            connection, Event(Act.AUDIT_EXPORTED, Outcome.DONE, asking.actor, asking.role, asking.request_id)
        )
    return platform.log.export(folder)
