"""Loads a pack: the folder of YAML files that makes the product fit one industry."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kernel.catalogue import Catalogue
from kernel.encoding import JsonValue, digest
from kernel.errors import NotFound
from kernel.located_yaml import Located, PackError, PackMistake, load
from kernel.oversight import Oversight
from kernel.pack_assessments import read_assessments
from kernel.pack_entries import Declared, Entry, Mistakes
from kernel.pack_events import read_event_types, read_relations
from kernel.pack_fields import read_fields
from kernel.pack_notices import read_notices
from kernel.pack_oversight import read_oversight
from kernel.pack_purposes import read_purposes, read_roles
from kernel.pack_recipients import read_recipients
from kernel.pack_rules import Declarations, check_declarations
from kernel.pack_trust import read_trust
from kernel.trust import TrustRule

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["PackError", "PackMistake", "builtin_pack_path", "load_pack"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,31}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_VERSION: Final = re.compile(r"[0-9]{4}\.[0-9]{1,2}\.[0-9]{1,3}")
_FILES: Final = ("pack", "fields", "purposes", "events", "relations", "roles")
_RECIPIENTS: Final = "recipients"
_OVERSIGHT: Final = "oversight"
_TRUST: Final = "trust"
_OPTIONAL: Final = (_RECIPIENTS, _OVERSIGHT, _TRUST)
"""Files that a pack can leave out: without recipients, with the product's own thresholds, all sources trusted alike."""

_AGES: Final = (13, 16)
"""Between which years of age a country may draw the line: GDPR 8; PIPL 31 draws it at 14 (R23)."""

_MAX_COOL_DOWN_HOURS: Final = 24 * 90


class _Coded(Protocol):
    @property
    def code(self) -> str: ...


_C = TypeVar("_C", bound=_Coded)


@dataclass(frozen=True, slots=True)
class _Head:
    """What pack.yaml says; see ``Catalogue``."""

    name: str = ""
    version: str = ""
    time_zone: str = ""
    jurisdiction: str = "CN"
    digital_age: int = 14
    cool_down: timedelta = timedelta(hours=48)


_NO_HEAD: Final = _Head()


def load_pack(folder: Path) -> Catalogue:
    """Load and check a pack.

    Args:
        folder: holds pack.yaml, fields.yaml, purposes.yaml, events.yaml, relations.yaml, roles.yaml and notices/, and
            where it has them recipients.yaml, oversight.yaml, trust.yaml and assessments/.
    Returns:
        The catalogue; its hash covers what the files mean, not their comments or layout.
    Raises:
        PackError: every mistake that was found, each with file, line and what was expected.
    """
    mistakes = Mistakes()
    roots = _load_files(folder, mistakes)
    declarations = _read_declarations(roots, folder, mistakes)
    head = _read_head(roots["pack"], mistakes) if "pack" in roots else _NO_HEAD
    oversight = _read_oversight(roots, declarations, mistakes)
    trust = read_trust(roots[_TRUST], declarations.field_codes, mistakes) if _TRUST in roots else ()
    if roots.keys() >= set(_FILES):
        check_declarations(declarations, mistakes)
    mistakes.check()
    return _assemble(declarations, head, oversight, trust)


def builtin_pack_path(name: str) -> Path:
    """Return the folder of a pack that ships with the product.

    Raises:
        NotFound: there is no such pack.
    """
    folder = Path(str(files("packs"))) / name
    if _NAME.fullmatch(name) is None or not (folder / "pack.yaml").is_file():
        raise NotFound(f"No pack named {name!r} ships with the product", hint="Give the path of a folder instead.")
    return folder


def _load_files(folder: Path, mistakes: Mistakes) -> dict[str, Located]:
    roots = {}
    optional = [name for name in _OPTIONAL if (folder / f"{name}.yaml").exists()]
    for name in (*_FILES, *optional):
        try:
            roots[name] = load(folder / f"{name}.yaml")
        except PackError as err:
            mistakes.extend(err)
    return roots


def _read_head(root: Located, mistakes: Mistakes) -> _Head:
    optional = {"cool_down_hours", "digital_age", "jurisdiction"}
    entry = Entry(root, mistakes, required={"name", "time_zone", "version"}, optional=optional)
    youngest, oldest = _AGES
    hours = entry.read(
        "cool_down_hours",
        lambda node: node.integer(minimum=0, maximum=_MAX_COOL_DOWN_HOURS),
        otherwise=_NO_HEAD.cool_down // timedelta(hours=1),
    )
    return _Head(
        name=entry.read(
            "name", lambda node: _matching(node, _NAME, "lower-case letters, digits and underscores"), otherwise=""
        ),
        version=entry.read(
            "version", lambda node: _matching(node, _VERSION, "year.month.number such as 2026.11.1"), otherwise=""
        ),
        time_zone=entry.read("time_zone", _read_time_zone, otherwise=""),
        jurisdiction=entry.read(
            "jurisdiction",
            lambda node: _matching(node, _COUNTRY, "two capital letters such as CN (ISO 3166-1)"),
            otherwise=_NO_HEAD.jurisdiction,
        ),
        digital_age=entry.read(
            "digital_age", lambda node: node.integer(minimum=youngest, maximum=oldest), otherwise=_NO_HEAD.digital_age
        ),
        cool_down=timedelta(hours=hours),
    )


def _matching(node: Located, shape: re.Pattern[str], expected: str) -> str:
    if shape.fullmatch(node.text()) is None:
        raise node.fail(f"{node.raw!r} does not fit", expected=expected)
    return node.text()


def _read_time_zone(node: Located) -> str:
    try:
        return ZoneInfo(node.text()).key
    except (ZoneInfoNotFoundError, ValueError):
        raise node.fail(f"unknown time zone {node.raw!r}", expected="an IANA name such as Asia/Shanghai") from None


def _read_declarations(roots: Mapping[str, Located], folder: Path, mistakes: Mistakes) -> Declarations:
    """Read every part; of a file that could not be loaded there is nothing."""
    nothing = Located(str(folder), 1, "mapping", "", {}, ())
    at = {name: roots.get(name, nothing) for name in (*_FILES, _RECIPIENTS)}
    notices = tuple(read_notices(folder / "notices", mistakes))
    found_before = len(mistakes)
    assessments = tuple(read_assessments(folder / "assessments", mistakes))
    recipients = tuple(read_recipients(at[_RECIPIENTS], mistakes))
    purposes = tuple(read_purposes(at["purposes"], mistakes))
    is_register_whole = len(mistakes) == found_before
    return Declarations(
        fields=tuple(read_fields(at["fields"], mistakes)),
        purposes=purposes,
        event_types=tuple(read_event_types(at["events"], mistakes)),
        relations=tuple(read_relations(at["relations"], mistakes)),
        roles=tuple(read_roles(at["roles"], mistakes)),
        notices=notices,
        assessments=assessments,
        recipients=recipients,
        is_register_whole=is_register_whole,
        are_notices_whole=len(notices) == len(list((folder / "notices").glob("*.yaml"))),
        field_codes=_codes(at["fields"]),
        purpose_codes=_codes(at["purposes"]),
    )


def _read_oversight(roots: Mapping[str, Located], declarations: Declarations, mistakes: Mistakes) -> Oversight:
    if _OVERSIGHT not in roots:
        return Oversight()
    return read_oversight(roots[_OVERSIGHT], declarations.purpose_codes, mistakes)


def _codes(root: Located) -> frozenset[str]:
    return frozenset(code for code, _ in root.items()) if root.kind == "mapping" else frozenset()


def _assemble(declarations: Declarations, head: _Head, oversight: Oversight, trust: tuple[TrustRule, ...]) -> Catalogue:
    notices = sorted((d.value for d in declarations.notices), key=lambda n: (n.code, n.version, n.locale))
    catalogue = Catalogue(
        pack=head.name,
        version=head.version,
        hash="",
        fields=_by_code(declarations.fields),
        purposes=_by_code(declarations.purposes),
        event_types=_by_code(declarations.event_types),
        relations=_by_code(declarations.relations),
        notices=tuple(notices),
        roles=_by_code(declarations.roles),
        time_zone=head.time_zone,
        assessments=tuple(sorted((d.value for d in declarations.assessments), key=lambda text: text.assessment_id)),
        recipients=tuple(sorted((d.value for d in declarations.recipients), key=lambda text: text.code)),
        jurisdiction=head.jurisdiction,
        digital_age=head.digital_age,
        cool_down=head.cool_down,
        oversight=oversight,
        trust=trust,
    )
    return replace(catalogue, hash=digest(_plain(catalogue)))


def _by_code(declared: Iterable[Declared[_C]]) -> Mapping[str, _C]:
    return MappingProxyType({item.value.code: item.value for item in declared})


def _plain(value: object) -> JsonValue:
    """Return the canonical content of catalogue values: sets sorted, periods in seconds, days in ISO 8601."""
    plain: JsonValue
    match value:
        case timedelta():
            plain = value // timedelta(seconds=1)
        case date():
            plain = value.isoformat()
        case frozenset():
            plain = sorted(str(item) for item in value)
        case tuple():
            plain = [_plain(item) for item in value]
        case Mapping():
            plain = {str(key): _plain(item) for key, item in value.items()}
        case None | bool() | int() | str():
            plain = value
        case _:
            parts = fields(cast("DataclassInstance", value))
            plain = {part.name: _plain(getattr(value, part.name)) for part in parts}
    return plain
