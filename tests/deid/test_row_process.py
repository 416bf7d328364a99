"""Rows made by a process that was given no key: the frames, the tokens it asks for, and what it tells when it fails."""

import io
import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from deid.columns import source_rows
from deid.row_process import BATCH, DROPPED, ROWS, TASK, TOKEN, WANTED, Streams, packed, read_frame, serve, write_frame
from deid.views import load_views
from kernel.errors import IntegrityFailed
from kernel.pack import builtin_pack_path, load_pack

AT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
PACK = builtin_pack_path("medical")
VIEW = "subject_profile"


def frames(stream: bytes):
    """Every frame of a stream."""
    reader = io.BytesIO(stream)
    found = []
    while (frame := read_frame(reader)) is not None:
        found.append(frame)
    return found


def task(**changed: str) -> bytes:
    view = load_views(PACK, load_pack(PACK))[VIEW]
    said = {"pack": str(PACK), "view": VIEW, "hash": view.hash, "as_of": "2026-11-21"}
    return json.dumps(said | changed).encode()


def batch(*rows: dict) -> bytes:
    """Rows as they are streamed."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    types = {"~observed_at": pa.timestamp("us", "UTC")}
    return packed(
        pa.RecordBatch.from_pydict(
            {name: pa.array([row.get(name) for row in rows], types.get(name, pa.string())) for name in names}
        )
    )


def served(*given: tuple[bytes, bytes]) -> list:
    source, answers = io.BytesIO(), io.BytesIO()
    for kind, content in given:
        write_frame(source, kind, content)
    serve(Streams(io.BytesIO(source.getvalue()), answers))
    return frames(answers.getvalue())


def test_a_batch_is_answered_by_its_rows():
    """One row for each pseudonym, for somebody without a record as well; then what was dropped."""
    head = {"~kind": "profile", "~observed_at": AT}
    answered = served(
        (TASK, task()),
        (BATCH, batch({"~pseudonym": "p1", "birth_date": "1990-05-20"} | head, {"~pseudonym": "p2"})),
    )
    assert [frame.kind for frame in answered] == [ROWS, DROPPED]
    with pa.ipc.open_stream(answered[0].content) as stream:
        rows = stream.read_all().to_pylist()
    assert [row["pseudonym"] for row in rows] == ["p1", "p2"]
    assert len({str(row) for row in rows}) == 2
    assert json.loads(answered[1].content) == []


def test_another_definition_builds_nothing():
    """The pack that the process finds must be the one that the vault side opened by."""
    with pytest.raises(IntegrityFailed, match="definition"):
        served((TASK, task(hash="ab" * 32)))


def test_tokens_come_from_the_other_side():
    """The process has no key of the scope: it asks, and ends where nobody answers."""
    given, answers = io.BytesIO(), io.BytesIO()
    write_frame(given, TOKEN, b"tok")
    streams = Streams(io.BytesIO(given.getvalue()), answers)
    assert streams.token("dr.lin", scope="s") == "tok"
    (asked,) = frames(answers.getvalue())
    assert (asked.kind, json.loads(asked.content)) == (WANTED, ["dr.lin", "s"])
    with pytest.raises(IntegrityFailed, match="token"):
        streams.token("dr.lin", scope="s")
    with pytest.raises(AssertionError):
        streams.pseudonyms([], scope="s")


def test_a_broken_stream_is_no_end():
    """Neither a head nor a content that was cut counts as one."""
    whole = io.BytesIO()
    write_frame(whole, BATCH, b"content")
    for cut in (3, 8):
        with pytest.raises(IntegrityFailed, match="inside"):
            frames(whole.getvalue()[:cut])
    assert served() == []


def test_objects_come_back_without_empty_members():
    """Arrow gives every object of a column all members."""
    quantity = pa.struct({"code": pa.string(), "flag": pa.string()})
    rows = pa.RecordBatch.from_pydict(
        {
            "~pseudonym": ["p"],
            "~kind": ["reading"],
            "~observed_at": pa.array([AT], pa.timestamp("us", "UTC")),
            "reading": pa.array([[{"code": "loinc:1", "flag": None}]], pa.list_(quantity)),
        }
    )
    ((name, (record,)),) = source_rows(rows)
    assert (name, record.observed_at.date(), record.values) == (
        "p",
        date(2026, 11, 20),
        {"reading": [{"code": "loinc:1"}]},
    )
