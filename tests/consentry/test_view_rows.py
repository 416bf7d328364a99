"""With PostgreSQL a view's rows are made by a process that has neither a store nor a key (R56)."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from consentry.packs import pack_folder
from consentry.view_rows import OwnRows, ProcessRows
from deid.schemas import arrow_schema
from deid.views import load_views
from kernel.errors import Unavailable
from kernel.pack import builtin_pack_path, load_pack

AT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
PACK = builtin_pack_path("medical")
DAY = date(2026, 11, 21)


class Tokens:
    """Gives tokens that show what was asked."""

    def pseudonyms(self, subjects, *, scope):
        raise AssertionError("pseudonyms are given before")

    def token(self, value: str, *, scope: str) -> str:
        return f"{scope}:{len(value)}"


def batch(view) -> pa.RecordBatch:
    """A record of one person, with every text field of the view."""
    catalogue = load_pack(PACK)
    texts = [code for code in sorted(view.fields) if not catalogue.get_field(code).repeated]
    texts = [code for code in texts if catalogue.get_field(code).type.value in {"string", "text", "date"}]
    row = {code: "1990-05-20" if catalogue.get_field(code).type.value == "date" else "内科" for code in texts}
    columns = {name: pa.array([value]) for name, value in row.items()}
    head = {
        "~pseudonym": pa.array(["p1"]),
        "~kind": pa.array([view.rows[0].kind if view.rows else "profile"]),
        "~observed_at": pa.array([AT], pa.timestamp("us", "UTC")),
    }
    return pa.RecordBatch.from_pydict(head | columns)


def test_both_makers_make_the_same_rows(monkeypatch):
    """The process asks for tokens; it is told no store, and what its environment holds names none."""
    monkeypatch.setenv("CONSENTRY_KEY_STORE", "postgresql://secret@keys")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert pack_folder("medical") == PACK
    views = load_views(PACK, load_pack(PACK))
    for view in (views["subject_profile"],):
        given = batch(view)
        with OwnRows(view, tokeniser=Tokens(), as_of=DAY) as own:
            expected = own.rows(given)
        with ProcessRows(view, pack=PACK, tokeniser=Tokens(), as_of=DAY) as other:
            rows = other.rows(given)
            shown = [Path(f"/proc/{other.process_id}/{name}") for name in ("environ", "cmdline")]
            told = b"".join(path.read_bytes() for path in shown if os.access(path, os.R_OK))
        assert rows.to_pylist() == expected.to_pylist()
        assert rows.schema == arrow_schema(view)
        assert other.dropped == own.dropped
        assert b"secret" not in told
    with pytest.raises(Unavailable, match="ended"):
        other.rows(given)


def test_a_process_that_fails_says_why_and_no_value():
    """A field that the view does not declare is more than its purpose covers."""
    view = load_views(PACK, load_pack(PACK))["subject_profile"]
    given = batch(view).append_column("genetic", pa.array(["BRCA1-planted"]))
    with (
        pytest.raises(Unavailable, match="does not declare genetic") as failed,
        ProcessRows(view, pack=PACK, tokeniser=Tokens(), as_of=DAY) as other,
    ):
        other.rows(given)
    assert "BRCA1" not in failed.value.diagnostics()
