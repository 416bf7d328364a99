"""Count a cohort over the newest tags, for subjects whose profiling decision is live."""

from dataclasses import dataclass

from audit.events import Act, Event, Outcome
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.tag_values import get_newest_run
from consentry.workflows.run_tags import load_pack_taxonomy, tag_inputs
from consentry.workflows.withheld import read_pseudonyms, withheld_pseudonyms
from tagging.cohort import MINIMUM_CELL, count


@dataclass(frozen=True, slots=True)
class Counted:
    """A cohort's size and that of everybody; None where the cell, or the rest, is small."""

    size: int | None
    population: int

    @property
    def shown(self) -> str:
        """The size for people."""
        return "not told (fewer than 11, or all but a few)" if self.size is None else str(self.size)

    @property
    def shown_population(self) -> str:
        """The population for people."""
        return f"fewer than {MINIMUM_CELL}" if self.population < MINIMUM_CELL else str(self.population)


def count_cohort(platform: Platform, caller: Principal, expression: str) -> Counted:
    """Count the subjects who fit a condition on tags.

    Raises:
        ExpressionError: the expression is no condition on the pack's tags.
        NotFound: no tags were computed yet.
    """
    check_may_act(platform.catalogue, caller, "tags.cohort")
    taxonomy, inputs, asking = load_pack_taxonomy(platform), tag_inputs(platform), platform.asking(caller)
    with platform.data.read() as connection:
        run = get_newest_run(connection, inputs.scope)
    file = platform.layout.tags_file(run.run_id)
    names = read_pseudonyms([file])
    withheld, _ = withheld_pseudonyms(
        platform, asking, scope=inputs.scope, pseudonyms=names, purpose=inputs.purpose, fields=inputs.fields
    )
    counted = count(taxonomy, expression, tags=file, withheld=withheld)
    event = Event(
        Act.COHORT_COUNTED, Outcome.DONE, asking.actor, asking.role, asking.request_id, purpose=inputs.purpose,
        refs={"run": run.run_id}, counts={"population": len(names) - len(withheld)}, details={"expression": expression},
    )  # fmt: skip
    platform.log.write(event)
    return Counted(counted.size, len(names) - len(withheld))
