"""Export definitions: what one recipient receives of one view, and how anonymous it has to be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deid.hierarchies import FLAT, HIERARCHIES, Hierarchy
from deid.view_definition import Column, Shape, ViewDefinition
from deid.view_params import read_code, read_decimal
from deid.view_rules import linked_level
from kernel.catalogue import Catalogue, Label
from kernel.encoding import digest
from kernel.errors import BadInput
from kernel.located_yaml import Located, PackError, load
from kernel.pack_entries import Entry, Mistakes, read_texts

LEAST_K: Final = 5
"""R59: the internal threshold; a partner's may be higher, never lower."""

TEXT_POLICIES: Final = frozenset({"redact"})
"""How a text may leave: each identifier, found by a rule or from the subject's own record, as the mark of its kind."""

_FINE_TIMES: Final = frozenset({"day", "hour", "minute", "month"})
_HUNDRED: Final = Decimal(100)
_REQUIRED: Final = frozenset(
    {
        "code",
        "columns",
        "goal",
        "k",
        "label",
        "purpose",
        "quasi_identifiers",
        "recipient",
        "scope",
        "suppression_limit_percent",
        "version",
        "view",
    }
)


@dataclass(frozen=True, slots=True)
class ExportDefinition:
    """One export as the pack defines it.

    Attributes:
        view: code of the view that it is derived from.
        purpose: the live decision that every person in it needs. recipient: who receives it.
        scope: its own pseudonym scope, so that exports cannot be joined with views or with each other.
        columns: of the view, in order.
        texts: those of the columns that are free text, each with the policy under which it may leave.
        tags: codes of the tags that become further columns.
        hierarchies: for each quasi-identifier, bounded by what still serves the goal.
        suppression_limit: share of the persons that may be left out.
        fields: the field codes that the purpose is checked for; a tag adds those that it is made of.
        level: that of a linked row (R54). hash: SHA-256 over the definition and that of the view.
    """

    code: str
    version: str
    label: Label
    goal: Label
    view: str
    purpose: str
    recipient: str
    scope: str
    columns: tuple[str, ...]
    texts: Mapping[str, str]
    tags: tuple[str, ...]
    hierarchies: Mapping[str, Hierarchy]
    k: int
    suppression_limit: Decimal
    fields: frozenset[str]
    level: int
    hash: str

    def hierarchies_with(self, inputs: Mapping[str, Iterable[str]]) -> Mapping[str, Hierarchy]:
        """Return the hierarchies, with a flat one for every tag that says something of a quasi-identifier.

        A tag that is computed from the age band tells the age again that the release makes coarse; it is therefore
        one of the quasi-identifiers.

        Args:
            inputs: for every tag of the taxonomy the columns of the view that it is computed from, directly or not.

        Raises:
            BadInput: a tag of the definition is not in ``inputs``.
        """
        unknown = sorted(set(self.tags) - set(inputs))
        if unknown:
            raise BadInput(f"Export {self.code}: no tag {', '.join(unknown)}", hint="Name tags of the taxonomy.")
        telling = [tag for tag in self.tags if not set(self.hierarchies).isdisjoint(inputs[tag])]
        return MappingProxyType({**self.hierarchies, **dict.fromkeys(telling, FLAT)})


def load_exports(
    pack_folder: Path, catalogue: Catalogue, views: Mapping[str, ViewDefinition]
) -> Mapping[str, ExportDefinition]:
    """Load every export definition of a pack.

    Args:
        pack_folder: holds exports/*.yaml.
        catalogue: the pack's catalogue.
        views: the pack's views, see ``deid.views.load_views``.

    Returns:
        The definitions by code.

    Raises:
        PackError: every mistake with file and line; among them free text, a date, a column that others may know
            without a hierarchy, a field that the purpose may not use, k below 5.
    """
    mistakes = Mistakes()
    found: dict[str, ExportDefinition] = {}
    for path in sorted((pack_folder / "exports").glob("*.yaml")):
        try:
            node = load(path)
        except PackError as err:
            mistakes.extend(err)
            continue
        export = _ExportReader(node, catalogue, views, mistakes).read()
        if export is None:
            continue
        if export.code in found:
            mistakes.add(node, f"the export {export.code!r} again", expected="every export once")
        found[export.code] = export
    mistakes.check()
    return MappingProxyType(found)


class _ExportReader:
    """Reads one definition; mistakes are gathered."""

    def __init__(
        self, node: Located, catalogue: Catalogue, views: Mapping[str, ViewDefinition], mistakes: Mistakes
    ) -> None:
        self._node = node
        self._catalogue = catalogue
        self._mistakes = mistakes
        self._entry = Entry(node, mistakes, required=_REQUIRED, optional={"tags", "texts"})
        view = self._entry.read("view", lambda n: n.one_of(views.keys()), otherwise="")
        self._view = views.get(view)

    def read(self) -> ExportDefinition | None:
        """Return the definition, or None where something is wrong with it."""
        entry = self._entry
        view = self._view
        if view is None:
            return None
        purpose = entry.read("purpose", lambda n: n.one_of(self._catalogue.purposes.keys()), otherwise="")
        columns: tuple[str, ...] = entry.read("columns", self._columns, otherwise=())
        hierarchies: dict[str, Hierarchy] = entry.read("quasi_identifiers", self._hierarchies, otherwise={})
        texts: dict[str, str] = entry.read("texts", _policies, otherwise={})
        fields = view.fields_of(columns)
        self._check(view, purpose, columns, hierarchies)
        self._check_texts(view, columns, texts)
        definition = ExportDefinition(
            code=entry.read("code", read_code, otherwise=""),
            version=entry.text("version"),
            label=entry.label(),
            goal=entry.label("goal"),
            view=view.code,
            purpose=purpose,
            recipient=entry.read("recipient", read_code, otherwise=""),
            scope=entry.read("scope", lambda n: self._own_scope(n, view), otherwise=""),
            columns=columns,
            texts=MappingProxyType(texts),
            tags=entry.read("tags", lambda n: self._tags(n, columns), otherwise=()),
            hierarchies=MappingProxyType(hierarchies),
            k=entry.read("k", lambda n: n.integer(minimum=LEAST_K), otherwise=LEAST_K),
            suppression_limit=entry.read("suppression_limit_percent", _share, otherwise=Decimal(0)),
            fields=fields,
            level=linked_level(self._catalogue.fields[code] for code in fields),
            hash=digest({"definition": self._node.value(), "view": view.hash}) if entry.is_whole else "",
        )
        return definition if entry.is_whole else None

    def _columns(self, node: Located) -> tuple[str, ...]:
        view = self._view
        names = read_texts(node)
        known = () if view is None else tuple(column.name for column in view.columns)
        for item in node.sequence():
            item.one_of(known)
        return names

    def _hierarchies(self, node: Located) -> dict[str, Hierarchy]:
        return {name: _read_hierarchy(child) for name, child in node.items()}

    def _tags(self, node: Located, columns: tuple[str, ...]) -> tuple[str, ...]:
        tags = read_texts(node)
        if not set(tags).isdisjoint(columns):
            raise node.fail("a tag has the name of a column", expected="every name once")
        return tags

    def _own_scope(self, node: Located, view: ViewDefinition) -> str:
        if node.text() == view.scope:
            raise node.fail("the scope of the view", expected="a scope of its own, or the two can be joined")
        return read_code(node)

    def _check(self, view: ViewDefinition, purpose: str, names: tuple[str, ...], hierarchies: Iterable[str]) -> None:
        if view.shape is not Shape.SUBJECT:
            self._mistakes.add(self._node["view"], f"{view.code} holds events", expected="a subject view")
        for name in names:
            for what, wanted in self._broken(view.get_column(name), purpose, hierarchies):
                self._mistakes.add(self._node["columns"], f"{name}: {what}", expected=wanted)
        for name in sorted(set(hierarchies) - set(names)):
            self._mistakes.add(self._node["quasi_identifiers"], f"{name} is no column", expected=", ".join(names))

    def _check_texts(self, view: ViewDefinition, names: tuple[str, ...], texts: Iterable[str]) -> None:
        free = {name for name in names if view.get_column(name).is_free_text}
        for name in sorted(free - set(texts)):
            self._mistakes.add(
                self._node["columns"], f"{name}: free text", expected=f"a policy under texts, such as {name}: redact"
            )
        for name in sorted(set(texts) - free):
            self._mistakes.add(self._node["texts"], f"{name} is no free text of this export", expected="only such")

    def _broken(self, column: Column, purpose: str, hierarchies: Iterable[str]) -> Iterable[tuple[str, str]]:
        """Yield what keeps a column out of a release."""
        if any(source.transform.name in _FINE_TIMES for source in column.sources):
            yield "a date finer than a year", "no dates (45 CFR 164.514(b)(2)(i)(C))"
        if column.is_quasi and column.name not in hierarchies:
            yield "others may know it", "a hierarchy under quasi_identifiers"
        if column.is_multi_valued and column.name in hierarchies:
            yield "several values in a cell", "no hierarchy: such a column is sensitive, not a quasi-identifier"
        for source in column.sources:
            if purpose not in self._catalogue.fields[source.field].purposes:
                yield f"{purpose} may not use {source.field}", f"a column whose fields list {purpose}"


def _read_hierarchy(node: Located) -> Hierarchy:
    node.mapping(required={"hierarchy"}, optional={"up_to"})
    hierarchy = HIERARCHIES[node["hierarchy"].one_of(HIERARCHIES.keys())]
    return hierarchy.up_to(node["up_to"].one_of(hierarchy.levels)) if "up_to" in node else hierarchy


def _policies(node: Located) -> dict[str, str]:
    return {name: child.one_of(TEXT_POLICIES) for name, child in node.items()}


def _share(node: Located) -> Decimal:
    share = read_decimal(node) / _HUNDRED
    if not 0 <= share < 1:
        raise node.fail(f"{node.raw} is no share", expected="percent from 0 to below 100")
    return share
