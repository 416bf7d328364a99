"""Acts that were answered before: the same act sent twice gets the same answer."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from consentry.stores.tables import answered_act
from kernel.encoding import JsonValue, canonical_json
from kernel.ids import SubjectId

_CHUNK = 500


def find_answers(connection: Connection, keys: Sequence[bytes]) -> Mapping[bytes, tuple[bytes, Mapping[str, Any]]]:
    """Return (content key, answer) for each act key that was answered."""
    found: dict[bytes, tuple[bytes, Mapping[str, Any]]] = {}
    for start in range(0, len(keys), _CHUNK):
        query = select(answered_act).where(answered_act.c.act_key.in_(keys[start : start + _CHUNK]))
        for row in connection.execute(query):
            found[row.act_key] = (row.content_key, json.loads(row.answer))
    return found


def remember_answers(
    connection: Connection, answers: Sequence[tuple[bytes, bytes, Mapping[str, JsonValue]]], *, at: datetime
) -> None:
    """Keep (act key, content key, answer) rows; ids only, no value."""
    if answers:
        rows = [
            {
                "act_key": key,
                "content_key": content,
                "subject_id": str(answer.get("subject", "")),
                "answer": canonical_json(answer).decode(),
                "answered_at": at,
            }
            for key, content, answer in answers
        ]
        connection.execute(insert(answered_act), rows)


def forget_answers(connection: Connection, subject: SubjectId) -> None:
    """Delete what would tell of a subject's acts."""
    connection.execute(delete(answered_act).where(answered_act.c.subject_id == subject))
