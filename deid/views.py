"""Views of a pack: views/*.yaml, read and checked against the catalogue."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deid.special import SpecialDiseases, load_special_diseases
from deid.transforms import CELL_TYPES, TRANSFORMS, Transform
from deid.view_definition import PSEUDONYM, Column, RowKind, Shape, Source, ViewDefinition
from deid.view_params import PARAMETERS, read_code, read_params, read_take
from deid.view_rules import OBSERVED_AT, broken_rules, linked_level, record_instant
from kernel.catalogue import Catalogue, Field, FieldClass
from kernel.encoding import JsonValue, digest
from kernel.located_yaml import Located, PackError, load
from kernel.pack_entries import Entry, Mistakes

__all__ = ["PSEUDONYM", "Column", "RowKind", "Shape", "Source", "ViewDefinition", "load_views"]

_HEAD: Final = frozenset({"code", "version", "label", "goal", "shape", "purpose", "scope", "columns"})
_EVENT_TYPE: Final = "event_type"


def load_views(pack_folder: Path, catalogue: Catalogue) -> Mapping[str, ViewDefinition]:
    """Load every view of a pack.

    Args:
        pack_folder: holds views/*.yaml and special_diseases.yaml.
        catalogue: the pack's catalogue.

    Returns:
        The views by code.

    Raises:
        PackError: every mistake with file and line; among them a direct identifier that would pass, a field that the
            view's purpose may not use, a field that the catalogue drops, an unknown field, transform or parameter.
    """
    special = load_special_diseases(pack_folder / "special_diseases.yaml")
    mistakes = Mistakes()
    found: dict[str, ViewDefinition] = {}
    for path in sorted((pack_folder / "views").glob("*.yaml")):
        try:
            node = load(path)
        except PackError as err:
            mistakes.extend(err)
            continue
        view = _ViewReader(node, catalogue, special, mistakes).read()
        if view.code in found:
            mistakes.add(node, f"the view {view.code!r} again", expected="every view once")
        found[view.code] = view
    mistakes.check()
    return MappingProxyType(found)


class _ViewReader:
    """Reads one view; mistakes are gathered, and stand-ins go on."""

    def __init__(self, node: Located, catalogue: Catalogue, special: SpecialDiseases, mistakes: Mistakes) -> None:
        self._node = node
        self._catalogue = catalogue
        self._special = special
        self._mistakes = mistakes
        self._entry = Entry(node, mistakes, required=_HEAD, optional={"rows"})
        self._purpose = self._entry.read("purpose", self._known_purpose, otherwise="")
        self._instant = record_instant(self._purpose)
        self._fields: list[Field] = []

    def read(self) -> ViewDefinition:
        shape = self._entry.member("shape", Shape, otherwise=Shape.SUBJECT)
        found: list[Column] = self._entry.read("columns", self._columns, otherwise=[])
        kinds: list[RowKind] = self._entry.read("rows", self._rows, otherwise=[])
        columns, rows = tuple(found), tuple(kinds)
        self._check_shape(shape, columns, rows)
        return ViewDefinition(
            code=self._entry.read("code", read_code, otherwise=""),
            version=self._entry.text("version"),
            label=self._entry.label(),
            goal=self._entry.label("goal"),
            shape=shape,
            purpose=self._purpose,
            scope=self._entry.read("scope", read_code, otherwise=""),
            time_zone=self._catalogue.time_zone,
            columns=columns,
            rows=rows,
            event_types=self._usable_event_types(),
            special=self._special,
            level=linked_level(self._fields),
            hash=self._hash(columns) if self._entry.is_whole else "",
        )

    def _known_purpose(self, node: Located) -> str:
        return node.one_of(self._catalogue.purposes.keys())

    def _usable_event_types(self) -> frozenset[str]:
        return frozenset(e.code for e in self._catalogue.event_types.values() if self._purpose in e.purposes)

    def _hash(self, columns: Iterable[Column]) -> str:
        """Mappings lose their order in canonical JSON, and the order of sources means something."""
        order: JsonValue = [[source.field for source in column.sources] for column in columns]
        content = self._node.value()
        zone = self._catalogue.time_zone
        return digest({"definition": content, "order": order, "special": self._special.hash, "time_zone": zone})

    def _check_shape(self, shape: Shape, columns: tuple[Column, ...], rows: tuple[RowKind, ...]) -> None:
        if shape is Shape.SUBJECT and rows:
            self._mistakes.add(self._node, "a subject view with rows", expected="rows in event views only")
        if shape is Shape.EVENTS and not rows:
            self._mistakes.add(self._node, "an event view without rows", expected="the kinds of records under rows")
        if shape is Shape.EVENTS and not any(column.name == _EVENT_TYPE for column in columns):
            self._mistakes.add(self._node, "an event view without event_type", expected=f"a column {_EVENT_TYPE}")
        names = [column.name for column in columns]
        for name in sorted({name for name in names if names.count(name) > 1 or name == PSEUDONYM}):
            self._mistakes.add(self._node, f"the column {name!r} again", expected="every column once, no pseudonym")

    def _rows(self, node: Located) -> list[RowKind]:
        rows = []
        for item in node.sequence():
            entry = Entry(item, self._mistakes, required={"kind"}, optional={_EVENT_TYPE})
            told = entry.read(_EVENT_TYPE, lambda n: n.one_of(self._usable_event_types()), otherwise="")
            rows.append(RowKind(entry.text("kind"), told or None))
        return rows

    def _columns(self, node: Located) -> list[Column]:
        read = (self._column(item) for item in node.sequence())
        return [column for column in read if column is not None]

    def _column(self, node: Located) -> Column | None:
        entry = Entry(node, self._mistakes, required={"name", "from"}, optional=PARAMETERS | {"take"})
        name = entry.read("name", read_code, otherwise="")
        params = read_params(entry)
        pairs: list[tuple[Field, Transform]] = entry.read("from", self._pairs, otherwise=[])
        if not entry.is_whole:
            return None
        transforms = [transform for _, transform in pairs]
        take = entry.read("take", lambda n: read_take(n, transforms), otherwise=transforms[0].takes[0])
        self._check_parameters(node, transforms)
        cell_types = {transform.cell or CELL_TYPES[field.type] for field, transform in pairs}
        if len(cell_types) > 1:
            self._mistakes.add(node, f"{name} gathers cells of different types", expected="one type of cell")
        self._fields += [field for field, _ in pairs]
        return Column(
            name=name,
            sources=tuple(Source(f.code, transform, replace(params, allowed=f.allowed)) for f, transform in pairs),
            take=take,
            type=cell_types.pop(),
            is_quasi=any(FieldClass.QUASI in field.classes for field, _ in pairs),
        )

    def _pairs(self, node: Located) -> list[tuple[Field, Transform]]:
        pairs = [self._pair(code, child) for code, child in node.items()]
        if not pairs:
            raise node.fail("no field", expected="field: transform")
        return pairs

    def _pair(self, code: str, node: Located) -> tuple[Field, Transform]:
        field = self._instant if code == OBSERVED_AT else self._catalogue.fields.get(code)
        if field is None:
            raise node.fail(f"unknown field {code!r}", expected="a field that the pack declares")
        transform = TRANSFORMS[node.one_of(TRANSFORMS.keys())]
        broken = [
            node.fail(what, expected=wanted) for what, wanted in broken_rules(field, transform, purpose=self._purpose)
        ]
        if broken:
            raise PackError(mistake for error in broken for mistake in error.mistakes)
        return field, transform

    def _check_parameters(self, node: Located, transforms: Iterable[Transform]) -> None:
        needed = frozenset(name for transform in transforms for name in transform.needs)
        given = frozenset(name for name in PARAMETERS if name in node)
        for name in sorted(needed - given):
            self._mistakes.add(node, f"{name!r} is missing", expected=f"the parameters {', '.join(sorted(needed))}")
        for name in sorted(given - needed):
            self._mistakes.add(node[name], f"no transform of this column reads {name!r}", expected="no such parameter")
