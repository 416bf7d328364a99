"""Explain one tag of one pseudonym; only while the subject's profiling decision is live."""

from dataclasses import dataclass

from audit.events import Act, Event, Outcome
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.readings import Reading
from consentry.stores.tag_values import get_newest_run
from consentry.workflows.admit import denials_recorded, find_leave
from consentry.workflows.freezing import check_not_frozen
from consentry.workflows.limits import spend_reading
from consentry.workflows.run_tags import TAGS_FIELD, load_pack_taxonomy, tag_inputs
from consentry.workflows.withheld import withheld_pseudonyms
from kernel.encoding import JsonValue
from kernel.errors import BadInput, NotFound
from tagging.explain import Explanation, explain
from tagging.words import Locale


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation that can be read as JSON or in words."""

    explanation: Explanation

    def in_words(self, language: str) -> str:
        """Return lines of text in zh or en."""
        try:
            locale = Locale(language)
        except ValueError:
            raise BadInput(f"There is no language {language!r}", hint="Choose zh or en.") from None
        return "\n".join(self.explanation.lines(locale))

    def as_json(self) -> dict[str, JsonValue]:
        """Return the explanation for programs."""
        found = self.explanation
        return {
            "tag": found.tag,
            "value": None if found.value is None else str(found.value),
            "rule": found.rule,
            "version": found.version,
            "taxonomy_hash": found.taxonomy_hash,
            "as_of": found.as_of.isoformat(),
            "inputs": [
                {
                    "kind": one.kind.value,
                    "name": one.name,
                    "label": {"zh": one.label.zh, "en": one.label.en},
                    "value": _text(one.value),
                }
                for one in found.inputs
            ],
        }


def explain_tag(
    platform: Platform, caller: Principal, tag: str, pseudonym: str, *, approval: str | None = None
) -> Explained:
    """Return why a pseudonym has the value of a tag, as of the newest run.

    Args:
        platform: every part.
        caller: a person of staff.
        tag: of the taxonomy. pseudonym: of the profiling scope.
        approval: id of the approval that a minor's record needs (R22), for the purpose of the tags and the role.

    Raises:
        ApprovalNeeded: a minor is behind the pseudonym, and no approval by somebody else fits; this stays in the log.
        AccountFrozen, LimitReached: see ``consentry.workflows.admit``.
        NotFound: no such tag, or nobody with a live decision behind the pseudonym.
    """
    check_may_act(platform.catalogue, caller, "tags.explain")
    taxonomy, inputs, asking = load_pack_taxonomy(platform), tag_inputs(platform), platform.asking(caller)
    withheld, live = withheld_pseudonyms(
        platform, asking, scope=inputs.scope, pseudonyms=[pseudonym], purpose=inputs.purpose, fields=inputs.fields
    )
    if withheld:
        raise NotFound(
            "Nobody with a live decision is behind this pseudonym",
            hint="It may have been withdrawn, or the data have changed since the last run.",
        )
    reading = Reading(caller, asking, live[pseudonym], inputs.purpose, frozenset({TAGS_FIELD}))
    with denials_recorded(platform, reading):
        leave = find_leave(platform, reading, frozenset(), approval=approval, case=None)
        with platform.data.write() as connection:
            leave.hold(connection, platform.log.now(connection))
            check_not_frozen(connection, caller, platform.log.now(connection))
            spend_reading(platform, connection, reading)
    with platform.data.read() as connection:
        run = get_newest_run(connection, inputs.scope)
    found = explain(
        taxonomy, tag, pseudonym=pseudonym, subjects=inputs.subjects_file, events=inputs.events_file, as_of=run.as_of
    )
    with platform.data.write() as connection:
        platform.log.record(
            connection,
            Event(
                Act.TAGS_EXPLAINED, Outcome.DONE, asking.actor, asking.role, asking.request_id, purpose=inputs.purpose,
                subject=live[pseudonym], refs={"tag": tag, "run": run.run_id, **leave.refs},
            ),
        )  # fmt: skip
    return Explained(found)


def _text(value: object) -> JsonValue:
    if value is None or isinstance(value, bool):
        return value
    return [str(item) for item in value] if isinstance(value, tuple) else str(value)
