"""Hand the log over for offline verification, under a head that the witnesses cosigned where there are any."""

from dataclasses import dataclass, replace
from pathlib import Path

from audit.events import Act, Event, Outcome
from audit.export import ExportSummary, check_new_folder
from audit.verifier import Checkpoint
from consentry.access import check_may_act
from consentry.outsiders import Outsiders
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.anchor import AnchoredHead, KeyNotListed, anchor_head
from kernel.errors import IntegrityFailed


@dataclass(frozen=True, slots=True)
class LogHandedOver:
    """What was written, and what those outside the house said of its head.

    Attributes:
        anchored: None where nobody outside is configured, and when they were not to be asked because of an alarm.
        problem: why they were not asked although the log is whole; empty where they were.
    """

    summary: ExportSummary
    anchored: AnchoredHead | None = None
    problem: str = ""


def export_audit(platform: Platform, caller: Principal, folder: Path) -> LogHandedOver:
    """Write the whole log, this act included, into a new folder.

    Witnesses and an authority that are configured are asked first. One that does not answer hinders nothing: the
    answer names it, and `consentry-verify --policy` will find no quorum. A log that is not the one that was signed is
    exported as it is: nothing is added to it, so that this export stands in no entry.

    Raises:
        Denied: the role may not export the log.
        BadInput: the folder is not empty, or there is none to make it in.
        ConfigurationError: the witness policy is wrong, or the roots of the authority are.
    """
    check_may_act(platform.catalogue, caller, "audit.export")
    check_new_folder(folder)
    asking, outsiders = platform.asking(caller), Outsiders.of(platform.settings)
    try:
        platform.log.checkpointer.check()
    except IntegrityFailed as lost:
        return LogHandedOver(replace(platform.log.export(folder, under=_last(platform, lost)), alarm=lost.message))
    with platform.data.write() as connection:
        platform.log.record(
            connection, Event(Act.AUDIT_EXPORTED, Outcome.DONE, asking.actor, asking.role, asking.request_id)
        )
    if not outsiders.are_there:
        return LogHandedOver(platform.log.export(folder))
    try:
        anchored = anchor_head(platform, asking, outsiders)
    except KeyNotListed as err:
        return LogHandedOver(platform.log.export(folder), problem=f"{err.message}. {err.hint}")
    except IntegrityFailed as err:
        return LogHandedOver(replace(platform.log.export(folder), alarm=err.message))
    return LogHandedOver(platform.log.export(folder, under=anchored.checkpoint), anchored)


def _last(platform: Platform, lost: IntegrityFailed) -> Checkpoint:
    """Return what was signed last of a lost log; raises what was found where nothing was."""
    last = platform.log.checkpointer.last_signed()
    if last is None:
        raise lost
    return last
