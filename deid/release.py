"""The release gate: reads back what was written, measures it, and refuses what falls short."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from deid.exports import ExportDefinition
from deid.files import SEPARATOR, ColumnKind, file_sha256, kinds_of, read_as_text
from deid.privacy import PERSON, Anonymised, Risk, measure_risk
from kernel.encoding import JsonValue
from kernel.errors import BadInput, Denied

if TYPE_CHECKING:
    import pyarrow as pa

RELEASE_GRADE: Final = 3
"""R58 (GB/T 42460): 3, the risk is measured and below the threshold; what leaves has to have it."""

LONGEST_VALUE: Final = 64
"""Characters; codes, bins and tag values are shorter, sentences are longer."""

LONGEST_TEXT: Final = 4_000
"""Characters of a text that may leave; longer ones are documents, in which more than identifiers tells who it is."""

_SENTENCE: Final = re.compile(r"[。！？；，、〔〕!?\r\n\t]|\.\s|(\S+\s+){3}|[\u4e00-\u9fff]{13}")
"""What codes, bins and tag values never hold: sentence marks, redaction marks, line ends, four words in a row."""

_FORMULA: Final = re.compile(r"[=+\-@\t\r]")
"""A spreadsheet would run a cell that begins like this (OWASP: CSV injection)."""

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Line ends and what turns the direction of a text; ``releasable`` leaves none."""

_BEFORE_WORDS: Final = " =+-@"
_GAPS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")

_PSEUDONYM: Final = re.compile(r"(?=(?:.*[A-Za-z]){2})(?!.*[0-9]{11})[A-Za-z0-9_-]{4,64}")
"""No separators, some letters, and never eleven digits in a row: a mobile or an identity number is no pseudonym."""

_SHAPES: Final = {
    ColumnKind.BOOLEAN: re.compile(r"true|false"),
    ColumnKind.INTEGER: re.compile(r"-?[0-9]{1,18}"),
    ColumnKind.DECIMAL: re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?"),
}


class FoundIdentifier(Protocol):
    """What ``find`` returns for each identifier in a text."""

    @property
    def start(self) -> int:
        """Offset of the first character."""
        ...


@dataclass(frozen=True, slots=True)
class ReleasePolicy:
    """What a released file has to be.

    Attributes:
        columns: the closed list of columns, in order, with their kinds.
        quasi_identifiers: single-valued columns; every other column is what a reader would learn.
        k: least size of a class of persons. suppression_limit: share of the persons that may be left out.
        persons: how many there were before any was left out.
        texts: columns that are free text, and may hold sentences and marks; every other rule is the same for them.
        find: returns the identifiers in a text.
    """

    columns: Mapping[str, ColumnKind]
    quasi_identifiers: tuple[str, ...]
    k: int
    suppression_limit: Decimal
    persons: int
    find: Callable[[str], Sequence[FoundIdentifier]]
    texts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that a file breaks: the column it was seen in (empty for the file), and how often. No values."""

    rule: str
    column: str
    count: int

    def __str__(self) -> str:
        """Return ``rule in column (count)``."""
        return f"{self.rule} in {self.column} ({self.count})" if self.column else f"{self.rule} ({self.count})"


class ReleaseRefused(Denied):
    """A written file falls short of its policy; ``findings`` say in what."""

    def __init__(self, file: str, findings: Sequence[Finding]) -> None:
        super().__init__(
            f"{file} is not released: {'; '.join(map(str, findings))}",
            hint="Remove the file, mend what is named and run the export again.",
        )
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What was measured on one file that passed.

    Attributes:
        persons, suppressed: how many are in it, how many were left out.
        multi_valued: columns with several values in a cell; they are no quasi-identifiers, and k says nothing of them.
        alone: for every column that k does not cover, how many persons are the only ones with their value.
        texts: for every column of free text, how many there are; no identifier was found in any.
    """

    file: str
    sha256: str
    persons: int
    suppressed: int
    risk: Risk
    quasi_identifiers: tuple[str, ...]
    multi_valued: tuple[str, ...]
    alone: Mapping[str, int]
    texts: Mapping[str, int]

    def to_json(self) -> dict[str, JsonValue]:
        """Return the report for a manifest; shares as decimal text."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "grade": RELEASE_GRADE,
            "persons": self.persons,
            "suppressed": self.suppressed,
            "k": self.risk.k,
            "classes": self.risk.classes,
            "highest_risk": _share_text(self.risk.highest.numerator, self.risk.highest.denominator),
            "average_risk": _share_text(self.risk.average.numerator, self.risk.average.denominator),
            "quasi_identifiers": list(self.quasi_identifiers),
            "not_covered_by_k": {name: {"persons_alone": count} for name, count in self.alone.items()},
            "multi_valued_not_covered_by_k": list(self.multi_valued),
            "texts": {name: {"texts": count, "identifiers_found": 0} for name, count in self.texts.items()},
        }


def policy_for(
    definition: ExportDefinition,
    anonymised: Anonymised,
    *,
    find: Callable[[str], Sequence[FoundIdentifier]],
) -> ReleasePolicy:
    """Return the policy that a definition asks for.

    The closed list of columns comes from the definition, the kinds from the table, k and limit from the definition:
    what ``anonymise`` says it reached is measured again, not believed.

    Raises:
        BadInput: the table has other columns than the definition, or one that cannot be released.
    """
    wanted = (PERSON, *definition.columns, *definition.tags)
    kinds = kinds_of(anonymised.table.schema)
    if tuple(kinds) != wanted:
        raise BadInput(
            f"Export {definition.code}: the table has other columns than the definition", hint="Select them."
        )
    return ReleasePolicy(
        columns=kinds,
        quasi_identifiers=tuple(anonymised.levels),
        k=definition.k,
        suppression_limit=definition.suppression_limit,
        persons=anonymised.persons,
        find=find,
        texts=frozenset(definition.texts),
    )


def releasable(text: str, scrub: Callable[[str], str]) -> str | None:
    """Return a redacted text as it may stand in a released cell, or None where it may not.

    Line ends and controls become spaces, and what a spreadsheet would take for a formula is cut off before it is
    scrubbed again: a number that stood behind it begins anew.

    Args:
        text: as the view has it.
        scrub: returns a text without identifiers.
    """
    clean = scrub(_GAPS.sub(" ", text).lstrip(_BEFORE_WORDS).rstrip())
    return clean if 0 < len(clean) <= LONGEST_TEXT and _FORMULA.match(clean) is None else None


def check_release(path: Path, policy: ReleasePolicy, *, sha256: str | None = None) -> ReleaseReport:
    """Read a written CSV or Parquet file back and measure it.

    Args:
        path: the file.
        policy: what it has to be.
        sha256: the hash that the manifest states; None before there is one.

    Returns:
        What was measured; the hash is that of the bytes that were read.

    Raises:
        ReleaseRefused: with every rule that the file breaks.
    """
    stated = file_sha256(path) if path.is_file() else ""
    if sha256 is not None and stated != sha256:
        raise ReleaseRefused(path.name, [Finding("the bytes are not those of the manifest", "", 1)])
    try:
        table = read_as_text(path)
    except BadInput:
        raise ReleaseRefused(path.name, [Finding("the file cannot be read", "", 1)]) from None
    misfits = list(_misfitting_columns(table, policy))
    if misfits:
        raise ReleaseRefused(path.name, misfits)
    findings = [*_broken_cells(table, policy), *_broken_rows(table)]
    if findings:
        raise ReleaseRefused(path.name, findings)
    risk = measure_risk(table, policy.quasi_identifiers)
    short = list(_short_of(risk, policy))
    if short:
        raise ReleaseRefused(path.name, short)
    return _report(path.name, stated, table, risk, policy)


def check_folder(
    folder: Path, policy: ReleasePolicy, files: Mapping[str, str], *, beside: Sequence[str] = ("manifest.json",)
) -> tuple[ReleaseReport, ...]:
    """Check a whole release: nothing but the stated files, each of them fit, all of them with the same content.

    Args:
        folder: what would be handed over.
        policy: what every data file has to be.
        files: SHA-256 by file name, as the manifest states it.
        beside: names of files that hold no data.

    Raises:
        ReleaseRefused: with the first file that falls short.
    """
    there = {path.name for path in folder.iterdir()} - set(beside)
    if odd := there.symmetric_difference(files):
        raise ReleaseRefused(folder.name, [Finding("other files than the manifest states", "", len(odd))])
    reports = tuple(check_release(folder / name, policy, sha256=files[name]) for name in sorted(files))
    tables = [read_as_text(folder / name).sort_by(PERSON) for name in sorted(files)]
    if any(not table.equals(tables[0]) for table in tables[1:]):
        raise ReleaseRefused(folder.name, [Finding("the files differ in content", "", len(tables))])
    return reports


def _misfitting_columns(table: "pa.Table", policy: ReleasePolicy) -> Iterator[Finding]:
    names, wanted = table.column_names, tuple(policy.columns)
    for name in sorted(set(names) - set(wanted)):
        yield Finding("a column that the definition does not have", name[:LONGEST_VALUE], 1)
    for name in sorted(set(wanted) - set(names)):
        yield Finding("a column is missing", name, 1)
    if set(names) == set(wanted) and tuple(names) != wanted:
        yield Finding("the columns stand in another order", "", 1)


def _broken_cells(table: "pa.Table", policy: ReleasePolicy) -> Iterator[Finding]:
    for name, kind in policy.columns.items():
        if name == PERSON:
            continue
        cells = {cell for cell in table.column(name).unique().to_pylist() if cell is not None}
        if kind in _SHAPES:
            yield from _found(f"not {kind.value}", name, (not _SHAPES[kind].fullmatch(cell) for cell in cells))
            continue
        values = {value for cell in cells for value in (cell.split(SEPARATOR) if kind is ColumnKind.SET else (cell,))}
        is_odd = _is_no_cell if name in policy.texts else _is_sentence
        yield from _found("free text", name, (is_odd(value) for value in values))
        yield from _found("a spreadsheet formula", name, (_FORMULA.match(value) is not None for value in values))
        yield from _found("an identifier", name, (len(policy.find(value)) > 0 for value in values))


def _broken_rows(table: "pa.Table") -> Iterator[Finding]:
    persons = table.column(PERSON).to_pylist()
    shaped = [person is not None and _PSEUDONYM.fullmatch(person) is not None for person in persons]
    yield from _found("not a pseudonym", PERSON, (not fits for fits in shaped))
    if (again := len(persons) - len(set(persons))) > 0:
        yield Finding("a person with more than one row", PERSON, again)


def _short_of(risk: Risk, policy: ReleasePolicy) -> Iterator[Finding]:
    if risk.k < policy.k:
        yield Finding(f"k is {risk.k} and has to be {policy.k}", "", 1)
    left_out = policy.persons - risk.persons
    if left_out < 0:
        yield Finding("more persons than the view had", "", -left_out)
    if left_out > policy.suppression_limit * policy.persons:
        yield Finding(f"more persons left out than {policy.suppression_limit:%}", "", left_out)


def _report(file: str, sha256: str, table: "pa.Table", risk: Risk, policy: ReleasePolicy) -> ReleaseReport:
    uncovered = [name for name in policy.columns if name != PERSON and name not in policy.quasi_identifiers]
    return ReleaseReport(
        file=file,
        sha256=sha256,
        persons=risk.persons,
        suppressed=policy.persons - risk.persons,
        risk=risk,
        quasi_identifiers=policy.quasi_identifiers,
        multi_valued=tuple(name for name in uncovered if policy.columns[name] is ColumnKind.SET),
        alone={name: _alone(table, name) for name in uncovered},
        texts={name: len(table) - table.column(name).null_count for name in sorted(policy.texts)},
    )


def _alone(table: "pa.Table", name: str) -> int:
    counts = table.column(name).drop_null().value_counts()
    return sum(1 for count in counts.field("counts").to_pylist() if count == 1)


def _is_sentence(value: str) -> bool:
    return len(value) > LONGEST_VALUE or _SENTENCE.search(value) is not None


def _is_no_cell(text: str) -> bool:
    """Whether a text is longer than one that may leave, or would break its cell."""
    return len(text) > LONGEST_TEXT or _CONTROLS.search(text) is not None


def _found(rule: str, column: str, broken: Iterable[bool]) -> Iterator[Finding]:
    count = sum(broken)
    if count:
        yield Finding(rule, column, count)


def _share_text(part: int, whole: int) -> str:
    return f"{Decimal(part) / whole:.6f}"
