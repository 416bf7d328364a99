"""People's own identifiers while their texts are prepared for a view.

They are opened under a permit of their own, held for one batch, and taken out of the texts before these go to whoever
makes rows.

De-identification is a measure of security that the law demands (PIPL 51 no. 3): the purpose is P13, and the fields are
those that the pack lets it use. Of whoever has no such basis nothing is opened, and the texts are left to the rules.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from consent.asking import Asking
from consentry.platform import Platform
from deid.view_definition import ViewDefinition
from kernel.catalogue import Catalogue
from kernel.ids import SubjectId
from vault.bulk_columns import SUBJECT
from vault.cohort_openers import CohortOpeners

if TYPE_CHECKING:
    import pyarrow as pa

    from deid.text import TextScrubber
    from deid.text.own import OwnFinder, OwnIdentifiers

SECURITY: Final = "P13"

_KNOWN: Final = frozenset({"name", "mobile", "id_number", "email", "street_address", "record_number", "visit_number"})
"""Fields of the catalogue that are something of their own to a text."""

_OTHERS: Final = {"insurance_number": "INSURANCE_NUMBER", "wechat_openid": "OPENID", "device_id": "DEVICE_ID"}
"""Others, by the kinds of ``deid.text``, which is imported by the first view that has texts."""


@dataclass(frozen=True, slots=True)
class OwnWords:
    """What is known of the people of one batch, in memory; hidden from repr."""

    people: "Mapping[SubjectId, OwnFinder]" = field(default_factory=dict, repr=False)

    def redacted(self, columns: "pa.RecordBatch", texts: Collection[str]) -> "pa.RecordBatch":
        """Return opened columns whose texts hold marks where the person's own identifiers stood.

        Args:
            columns: as the vault opens a cohort.
            texts: the names of those that are free text.
        """
        import pyarrow as pa

        subjects = columns[SUBJECT].to_pylist()
        for name in sorted(texts):
            place = columns.schema.get_field_index(name)
            if place < 0 or columns[name].null_count == columns.num_rows:
                continue
            pairs = zip(subjects, columns[name].to_pylist(), strict=True)
            clean = pa.array([self._clean(subject, value) for subject, value in pairs], columns.schema.field(name).type)
            columns = columns.set_column(place, name, clean)
        return columns

    def _clean(self, subject: SubjectId, value: Any) -> Any:  # noqa: ANN401 - a text, several, or nothing
        finder = self.people.get(subject)
        if finder is None or value is None:
            return value
        if isinstance(value, str):
            return _scrubber().scrub(value, own=[finder]).text
        return [self._clean(subject, one) for one in value] if isinstance(value, list) else value


@cache
def _scrubber() -> "TextScrubber":
    from deid.text import TextScrubber
    from deid.text.record_only import RecordDetector

    return TextScrubber(detector=RecordDetector())


def text_fields(view: ViewDefinition) -> frozenset[str]:
    """Return the fields of a view that are free text."""
    return frozenset(
        source.field for column in view.columns for source in column.sources if source.transform.name == "redact"
    )


def speakers(batches: "Iterable[pa.RecordBatch]", texts: Collection[str]) -> set[SubjectId]:
    """Return the people of opened columns who have a text."""
    import pyarrow.compute as pc

    found: set[SubjectId] = set()
    for columns in batches:
        for name in set(texts).intersection(columns.schema.names):
            found.update(columns[SUBJECT].filter(pc.is_valid(columns[name])).to_pylist())
    return found


def own_fields(catalogue: Catalogue) -> frozenset[str]:
    """Return the fields that hold people's identifiers and that the pack lets security use."""
    known = _KNOWN | _OTHERS.keys()
    return frozenset(code for code in known & catalogue.fields.keys() if SECURITY in catalogue.fields[code].purposes)


def open_own(
    platform: Platform, asking: Asking, subjects: Sequence[SubjectId], *, openers: CohortOpeners | None = None
) -> OwnWords:
    """Open the identifiers of people whose texts are about to be de-identified.

    Args:
        platform: every part.
        asking: who builds.
        subjects: of one batch.
        openers: processes that open instead of this one.

    Raises:
        Unavailable: the log or a store cannot be used; nothing is opened.
    """
    fields = own_fields(platform.catalogue)
    if not fields or not subjects:
        return OwnWords()
    with platform.data.write() as connection:
        verdict = platform.gate.check_many(
            connection, asking=asking, purpose=SECURITY, subjects=subjects, fields=fields
        )
    permit = verdict.permit
    if permit is None:
        return OwnWords()
    receipt = platform.log.receipt(
        permit.entry_id, actor=asking.actor, purpose=SECURITY, subjects=permit.subjects, fields=permit.fields
    )
    from deid.text.own import OwnFinder

    values: defaultdict[SubjectId, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for columns in platform.vault.open_cohort(permit, receipt, fields=permit.fields, openers=openers):
        for subject, code, value in _values(columns, permit.fields):
            values[subject][code].add(value)
    return OwnWords({subject: OwnFinder(_identifiers(known)) for subject, known in values.items()})


def _values(columns: "pa.RecordBatch", fields: Collection[str]) -> Iterator[tuple[SubjectId, str, str]]:
    subjects = columns[SUBJECT].to_pylist()
    for code in sorted(set(fields).intersection(columns.schema.names)):
        for subject, value in zip(subjects, columns[code].to_pylist(), strict=True):
            for one in value if isinstance(value, list) else (value,):
                if isinstance(one, str) and one.strip():
                    yield subject, code, one


def _identifiers(known: Mapping[str, Collection[str]]) -> "OwnIdentifiers":
    from deid.text import Kind
    from deid.text.own import OwnIdentifiers

    def of(*codes: str) -> tuple[str, ...]:
        return tuple(sorted({value for code in codes for value in known.get(code, ())}))

    return OwnIdentifiers(
        names=of("name"),
        mobiles=of("mobile"),
        id_numbers=of("id_number"),
        emails=of("email"),
        addresses=of("street_address"),
        record_numbers=of("record_number", "visit_number"),
        others={Kind(kind): of(code) for code, kind in _OTHERS.items() if code in known},
    )
