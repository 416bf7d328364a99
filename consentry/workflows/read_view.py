"""Read a built view without those whose decision has ended since."""

from typing import TYPE_CHECKING

from audit.events import Act, Event, Outcome
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.rewriting import read_rows
from consentry.stores.builds import get_newest_build
from consentry.workflows.build_view import get_view
from consentry.workflows.withheld import read_pseudonyms, withheld_pseudonyms

if TYPE_CHECKING:
    import pyarrow as pa


def read_view(platform: Platform, caller: Principal, name: str) -> "pa.Table":
    """Return the newest build of a view, filtered by the decisions that are live now.

    Raises:
        Denied: the role may not read views.
        NotFound: no such view, or it was not built yet.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    check_may_act(platform.catalogue, caller, "view.read")
    view, asking = get_view(platform, name), platform.asking(caller)
    with platform.data.read() as connection:
        build = get_newest_build(connection, name)
    file = platform.layout.view_file(build.view, build.build_id)
    withheld, live = withheld_pseudonyms(
        platform, asking, scope=view.scope, pseudonyms=read_pseudonyms([file]), purpose=view.purpose,
        fields=view.fields,
    )  # fmt: skip
    with platform.data.write() as connection:
        platform.log.record(
            connection,
            Event(
                Act.VIEW_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, purpose=view.purpose,
                level=view.level, refs={"view": view.code, "build": build.build_id},
                counts={"people": len(live), "withheld": len(withheld)},
            ),
        )  # fmt: skip
    platform.log.settle()
    table = read_rows(file)
    return table.filter(pc.invert(pc.is_in(table["pseudonym"], pa.array(sorted(withheld), pa.string()))))
