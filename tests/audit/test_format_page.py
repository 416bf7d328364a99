"""The page that says what the bytes are."""

import json
from pathlib import Path

import pytest

from audit.entries import decode_entry, encode_entry
from audit.events import OWNERS, Act, Event, Outcome
from audit.verifier import exports
from audit.verifier.words import KINDS
from kernel.encoding import canonical_json

PAGE = (Path(__file__).parents[2] / "docs/reference/audit-format.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("act", list(Act))
def test_every_act_is_documented_with_its_owner(act):
    """An act that is not on the page may not be written."""
    assert f"| `{act.value}` | {OWNERS[act]} |" in PAGE


@pytest.mark.parametrize("name", [value for name, value in vars(exports).items() if name.endswith("_FILE")])
def test_every_exported_file_is_documented(name):
    """A reader of an export finds each file explained."""
    assert f"| `{name}` |" in PAGE


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_finding_is_documented(kind):
    """A verdict can be looked up."""
    assert f"`{kind}`" in PAGE


def test_example_entry_is_canonical_and_shows_every_member(subject, clock):
    """The example is what the code writes."""
    example = PAGE.split("```json\n")[1].split("\n```")[0].encode()
    assert canonical_json(json.loads(example)) == example
    event = Event(
        Act.PERMIT,
        Outcome.ALLOWED,
        actor="a",
        role="r",
        request_id="q",
        purpose="P06",
        recipient="r",
        subject=subject,
        cohort=(subject,),
        fields=("name",),
        level=1,
        basis="b",
        reason="R",
        counts={"a": 1},
        refs={"a": "b"},
    )
    cohort = {"size": 1, "digest": "00"}
    written = encode_entry(event, "ent_1", clock.now(), aliases={subject: "als_1"}, cohort=cohort, details="2f")
    assert set(decode_entry(written.body)) == set(json.loads(example))
