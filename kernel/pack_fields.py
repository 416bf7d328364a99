"""Reads fields.yaml: every field of a pack, once."""

from typing import Final

from kernel.catalogue import TRANSFORMS, Compartment, ConsentKind, Field, FieldClass, FieldType, IndexKind, Mask
from kernel.located_yaml import Located
from kernel.pack_entries import Declared, Entry, Mistakes, read_coded

_REQUIRED: Final = {
    "class",
    "collect",
    "compartment",
    "consent",
    "label",
    "level",
    "retention",
    "transform",
    "type",
}
_OPTIONAL: Final = {"allowed", "code_system", "further", "index", "mask", "media", "repeated", "unit"}


def read_fields(root: Located, mistakes: Mistakes) -> list[Declared[Field]]:
    """Return the fields that were read without mistakes; see ``Field`` for what each key means.

    ``further`` lists the purposes beyond ``collect``. Optional keys: unit, code_system, further, index (none),
    repeated (false), allowed, mask (by the type), media (of attachments).
    """
    declared = []
    for code, node in read_coded(root, mistakes):
        entry = Entry(node, mistakes, required=_REQUIRED, optional=_OPTIONAL)
        field = _read_field(code, entry)
        if entry.is_whole:
            declared.append(Declared(field, node))
    return declared


def _read_field(code: str, entry: Entry) -> Field:
    collect = entry.text("collect")
    return Field(
        code=code,
        label=entry.label(),
        classes=entry.read("class", _read_classes, otherwise=(FieldClass.SENSITIVE,)),
        level=entry.read("level", lambda node: node.integer(minimum=1, maximum=5), otherwise=5),
        compartment=entry.member("compartment", Compartment, otherwise=Compartment.SPECIAL),
        type=entry.member("type", FieldType, otherwise=FieldType.STRING),
        unit=entry.text("unit") or None,
        code_system=entry.text("code_system") or None,
        collect=collect,
        purposes=frozenset({collect, *entry.texts("further")}),
        consent=entry.member("consent", ConsentKind, otherwise=ConsentKind.SEPARATE),
        transform=entry.read("transform", lambda node: node.one_of(TRANSFORMS), otherwise="drop"),
        retention=entry.retention(),
        index=entry.member("index", IndexKind, otherwise=IndexKind.NONE),
        repeated=entry.flag("repeated"),
        allowed=frozenset(entry.texts("allowed")) or None,
        mask=entry.read("mask", lambda node: node.one_of(Mask), otherwise=None),
        media=frozenset(entry.texts("media")),
    )


def _read_classes(node: Located) -> tuple[FieldClass, ...]:
    if node.kind != "sequence":
        return (node.one_of(FieldClass),)
    classes = tuple(item.one_of(FieldClass) for item in node.sequence())
    if not classes or len(set(classes)) != len(classes):
        raise node.fail("no class, or one twice", expected="the leading class first, each once")
    return classes
