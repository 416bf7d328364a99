"""Types that hold values in clear: found by walking the source, and none of them shows a value."""

import ast
import copy
import importlib
import io
import logging
import pickle
import re
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import structlog
from rich.console import Console
from rich.traceback import Traceback

import kernel
from kernel.plaintext import Plaintext

ROOT = Path(kernel.__file__).parents[1]
PACKAGES = ("vault", "consentry", "consent", "audit", "deid", "kernel", "tagging")
PLANTED = "欧阳静怡110101199003074514"

VALUES = {"values", "plaintexts", "plaintext", "id_number", "birth_date", "mobile", "evidence", "details", "claims"}
"""Names under which values of people stand; a member whose type names JsonValue counts as well."""

NO_VALUES = {
    "audit/accesses.py:Access": "evidence is indexes of the log",
    "audit/vigilance.py:Finding": "evidence is indexes of the log",
    "audit/verifier/failures.py:Phrase": "numbers and ids of a failure's sentence",
    "consent/outbox.py:WakeItem": "counts of a handler",
    "consentry/acts.py:SubjectReference": "both are SecretStr behind their names",
    "consentry/demo/people.py:Person": "nobody: made up by the demo",
    "consentry/workflows/disclosures.py:DisclosureReport": "codes and ids of the log",
    "consentry/workflows/read_audit.py:AuditEntries": "codes and ids of the log",
    "consentry/workflows/seen_by.py:SeenBy": "codes and ids of the log",
    "consentry/workflows/show_consents.py:ShownConsents": "decisions: codes, ids and instants",
    "deid/text/lists/make.py:_Given": "counts of characters in a published list",
    "deid/manifest.py:Manifest": "figures of a release",
    "tagging/schema.py:ViewColumn": "the values that a column may have",
    "tagging/taxonomy.py:Tag": "the values that a tag may have",
}
"""Classes with such a member that is no value, and why."""

SHOWN = {
    "at",
    "by",
    "encoded",
    "field",
    "kind",
    "locator",
    "name",
    "number",
    "record",
    "record_id",
    "source",
    "subject",
}
"""Members that a plaintext type may show: ids, names of fields and systems, instants."""


def sources() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every module of the product, but for what HTTP reads and answers."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "api" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield every class with the place where it stands."""
    for place, text in sources():
        if "class " in text:
            for node in ast.parse(text).body:
                if isinstance(node, ast.ClassDef):
                    yield place, node


def shown_values(node: ast.ClassDef) -> list[str]:
    """Return the members of a class that hold values and that a generated repr would show."""
    if any(isinstance(part, ast.FunctionDef) and part.name == "__repr__" for part in node.body):
        return []
    members = [part for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)]
    return [
        member.target.id
        for member in members
        if (member.target.id in VALUES or "JsonValue" in ast.unparse(member.annotation))
        and ast.unparse(member.annotation) != "int"
        and "repr=False" not in ast.unparse(member)
        and "SecretStr" not in ast.unparse(member.annotation)
    ]


def test_every_class_that_holds_values_hides_them():
    """A class is Plaintext, leaves such members out of its repr, or is listed above with the reason."""
    plain = {kind.__name__ for kind in kinds()}
    offenders = {
        f"{place}:{node.name}": shown
        for place, node in classes()
        if (shown := shown_values(node)) and node.name not in plain
    }
    assert offenders.keys() - NO_VALUES.keys() == set()
    assert NO_VALUES.keys() - offenders.keys() == set(), "a reason that nothing needs any more"


def test_nothing_takes_a_record_apart():
    """dataclasses.asdict shows what repr hides; who uses it has no values."""
    users = {place for place, text in sources() if re.search(r"\b(asdict|astuple)\b", text)}
    assert users == {"consentry/cli/packs.py", "audit/verifier/verdicts.py", "vault/key_report.py"}


def test_no_line_of_a_log_renders_a_traceback():
    """Structlog and rich would print the locals of each frame with it; an unforeseen error is told by its place."""
    texts = {path: path.read_text(encoding="utf-8") for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    asked = re.compile(r"exc_info|\.exception\(|show_locals|capture_locals|pretty_exceptions_enable=True")
    assert [path for path, text in texts.items() if asked.search(text)] == []


@cache
def kinds() -> list[type[Plaintext]]:
    """Return every type that is declared to hold values in clear."""
    found = []
    for place, text in sources():
        if "(Plaintext):" in text:
            module = importlib.import_module(place.removesuffix(".py").replace("/", "."))
            found += [kind for kind in vars(module).values() if is_own(kind, module.__name__)]
    return sorted(found, key=lambda kind: kind.__name__)


def is_own(kind: object, module: str) -> bool:
    return isinstance(kind, type) and issubclass(kind, Plaintext) and kind.__module__ == module


def planted(kind: type[Plaintext]) -> Plaintext:
    """Return an instance of which every member holds a planted value, but for those that may be shown."""
    made = object.__new__(kind)
    for name, annotation in kind.__annotations__.items():
        value = (
            {"name": PLANTED}
            if str(annotation).startswith(("Mapping", "dict")) or "ict[" in str(annotation)
            else PLANTED
        )
        object.__setattr__(made, name, "harmless" if name in SHOWN else value)
    return made


def told(value: Plaintext) -> Iterator[str]:
    """Yield what a careless line would write of an instance."""
    yield repr(value)
    yield str(value)
    yield f"{value}"
    yield "%s %r" % (value, [value])  # noqa: UP031 - what logging does
    screen = io.StringIO()
    Console(file=screen, width=200).print(value, {"held": [value]})
    yield screen.getvalue()
    yield str(structlog.processors.JSONRenderer(default=repr)(None, "info", {"event": "x", "record": value}))
    yield str(structlog.dev.ConsoleRenderer()(None, "info", {"event": "x", "record": value}))


def test_every_such_class_is_found():
    """The walk must be able to find something: what comes in, what is stored, and what is opened."""
    assert len(kinds()) == len(set(kinds()))
    assert {"IdentityKeys", "PlainRecord", "Encoded", "OpenedRecord", "SourceRecord"} <= {k.__name__ for k in kinds()}


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_no_way_of_printing_shows_a_value(kind):
    """Repr, str, format, logging, rich and structlog."""
    for text in told(planted(kind)):
        assert "欧阳" not in text
        assert "1101" not in text


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_no_traceback_with_locals_shows_a_value(kind, caplog):
    """Renderers that print the locals of each frame print the redacted form."""
    record = planted(kind)
    try:
        raise ValueError("on the way")  # noqa: TRY301 - its frame is what is rendered
    except ValueError as err:
        screen = io.StringIO()
        shown = Traceback.from_exception(type(err), err, err.__traceback__, show_locals=True)
        Console(file=screen, width=200).print(shown)
        lines = traceback.TracebackException.from_exception(err, capture_locals=True).format()
        with caplog.at_level(logging.DEBUG):
            logging.getLogger("consentry.test").exception("failed with %s", record)
        for text in (screen.getvalue(), "".join(lines), caplog.text):
            assert kind.__name__ in text
            assert "欧阳" not in text


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_none_goes_into_a_pickle_or_a_copy(kind):
    """What is serialised leaves the process, or stays longer than the unit of work."""
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never serialised"):
            way(planted(kind))
