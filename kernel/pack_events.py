"""Reads events.yaml and relations.yaml: kinds of behaviour events, and of relations between two subjects."""

from kernel.catalogue import EventType, Relation
from kernel.located_yaml import Located
from kernel.pack_entries import Declared, Entry, Mistakes, read_coded, read_texts

ACTORS = frozenset({"subject", "account", "staff", "system"})
"""Who does what an event tells: the subject, an account holder acting for one, a member of staff, or the platform."""

VERIFICATIONS = frozenset({"none", "declared", "document", "both_accounts", "guardian_check"})
"""How a relation is made sure of."""


def read_event_types(root: Located, mistakes: Mistakes) -> list[Declared[EventType]]:
    """Return the event types that were read without mistakes; ``required`` is a part of ``properties``."""
    declared = []
    for code, node in read_coded(root, mistakes):
        entry = Entry(
            node, mistakes, required={"actor", "label", "properties", "purposes", "retention"}, optional={"required"}
        )
        event_type = EventType(
            code=code,
            label=entry.label(),
            actor=entry.read("actor", lambda item: item.one_of(ACTORS), otherwise=""),
            properties=entry.texts("properties"),
            required=entry.texts("required"),
            purposes=frozenset(entry.texts("purposes")),
            retention=entry.retention(),
        )
        if entry.is_whole:
            declared.append(Declared(event_type, node))
    return declared


def read_relations(root: Located, mistakes: Mistakes) -> list[Declared[Relation]]:
    """Return the relations that were read without mistakes; ``roles`` names the two sides."""
    declared = []
    for code, node in read_coded(root, mistakes):
        entry = Entry(node, mistakes, required={"both_consent", "label", "roles", "verification"})
        relation = Relation(
            code=code,
            label=entry.label(),
            roles=entry.read("roles", _read_sides, otherwise=("", "")),
            verification=entry.read("verification", lambda item: item.one_of(VERIFICATIONS), otherwise=""),
            both_consent=entry.flag("both_consent"),
        )
        if entry.is_whole:
            declared.append(Declared(relation, node))
    return declared


def _read_sides(node: Located) -> tuple[str, str]:
    match read_texts(node):
        case (first, second):
            return first, second
    raise node.fail("a relation has two sides", expected="two roles")
