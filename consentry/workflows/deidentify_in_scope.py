"""De-identify a file with tokens that the keys of a deployment make."""

from pathlib import Path

from audit.events import Act, Event, Outcome
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.text_profiles import TextTask
from consentry.workflows.deidentify_file import FileReport, new_file, written_file


def deidentify_in_scope(
    platform: Platform,
    caller: Principal,
    source: Path,
    target: Path,
    *,
    task: TextTask,
    processes: int | None = None,
    replace: bool = False,
    show_progress: bool = False,
) -> FileReport:
    """De-identify every text of a file; the entry of counts is durable before the file is put in its place.

    Arguments and errors are those of ``deidentify_file``.

    Raises:
        Denied: the caller's role lists no ``text.deidentify``.
    """
    check_may_act(platform.catalogue, caller, "text.deidentify")
    work = task.prepared(platform.pseudonyms)
    asking = platform.asking(caller)
    with new_file(target, replace=replace) as out:
        report = written_file(source, out, work, processes=processes, show_progress=show_progress)
        event = Event(
            Act.TEXT_DEIDENTIFIED, Outcome.DONE, asking.actor, asking.role, asking.request_id, refs=task.refs,
            counts={"texts": report.texts, "found": report.found.total(), "withheld": report.withheld},
        )  # fmt: skip
        platform.log.write(event)
    return report
