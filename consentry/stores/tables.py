"""Tables of the product in the data store."""

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Date, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from kernel.database import Instant, new_metadata

metadata = new_metadata()

_Position: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only for INTEGER PRIMARY KEY."""

ID_LENGTH: Final = 40

principal = Table(
    "principal",
    metadata,
    Column("principal_id", String(ID_LENGTH), primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("kind", String(8), nullable=False),
    Column("role", String(32), nullable=False),
    Column("secret_hash", String(200), nullable=False),
    Column("expires_at", Instant),
    Column("subjects_per_day", Integer),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created_at", Instant, nullable=False),
    Column("processor", String(128), comment="code of the recipient whose contract binds this key"),
    Column("sources", String(256), comment="that this key may state, by comma; null for any"),
)

principal_subject_day = Table(
    "principal_subject_day",
    metadata,
    Column("principal_id", String(ID_LENGTH), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("subject_id", String(ID_LENGTH), primary_key=True),
)

answered_act = Table(
    "answered_act",
    metadata,
    Column("act_key", LargeBinary(32), primary_key=True),
    Column("content_key", LargeBinary(32), nullable=False),
    Column("subject_id", String(ID_LENGTH), nullable=False, index=True),
    Column("answer", Text, nullable=False),
    Column("answered_at", Instant, nullable=False),
)

view_build = Table(
    "view_build",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True, comment="order of building"),
    Column("build_id", String(ID_LENGTH), nullable=False, unique=True),
    Column("view", String(80), nullable=False),
    Column("manifest", Text, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("built_at", Instant, nullable=False),
    Index(None, "view", "position"),
)

export_release = Table(
    "export_release",
    metadata,
    Column("export_id", String(ID_LENGTH), primary_key=True),
    Column("definition", String(80), nullable=False),
    Column("recipient", String(120), nullable=False),
    Column("scope", String(120), nullable=False, unique=True),
    Column("manifest", Text, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("released_at", Instant, nullable=False),
    Column("recalled_at", Instant),
)

tag_run = Table(
    "tag_run",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True, comment="order of running"),
    Column("run_id", String(ID_LENGTH), nullable=False, unique=True),
    Column("scope", String(120), nullable=False),
    Column("taxonomy", String(80), nullable=False),
    Column("taxonomy_hash", String(64), nullable=False),
    Column("as_of", Date, nullable=False),
    Column("subjects_build", String(ID_LENGTH), nullable=False),
    Column("events_build", String(ID_LENGTH), nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Index(None, "scope", "position"),
)

tag_value = Table(
    "tag_value",
    metadata,
    Column("run_id", ForeignKey(tag_run.c.run_id), primary_key=True),
    Column("pseudonym", String(64), primary_key=True),
    Column("tag", String(80), primary_key=True),
    Column("value", Text),
    Column("version", String(64), nullable=False),
    Index(None, "pseudonym"),
)

read_approval = Table(
    "read_approval",
    metadata,
    Column("approval_id", String(ID_LENGTH), primary_key=True),
    Column("subject_id", String(ID_LENGTH), nullable=False, index=True),
    Column("purpose", String(32), nullable=False),
    Column("role", String(32), nullable=False, comment="of those who may read"),
    Column("approved_by", String(ID_LENGTH), nullable=False, comment="a principal, who may not read"),
    Column("approved_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("entry_id", String(ID_LENGTH), nullable=False),
    Column("revoked_at", Instant, comment="null while it was not"),
    Column("revoked_by", String(ID_LENGTH)),
    Column("revoked_entry", String(ID_LENGTH)),
)

case_grant = Table(
    "case_grant",
    metadata,
    Column("case_id", String(ID_LENGTH), primary_key=True),
    Column("subject_id", String(ID_LENGTH), nullable=False, index=True),
    Column("purpose", String(32), nullable=False),
    Column("fields", Text, nullable=False, comment="JSON: codes in order"),
    Column("role", String(32), nullable=False, comment="of who asked"),
    Column("asked_by", String(ID_LENGTH), nullable=False, index=True, comment="a principal, who alone opens under it"),
    Column("asked_at", Instant, nullable=False),
    Column("hours", Integer, nullable=False, comment="from the decision on"),
    Column("ticket", String(64)),
    Column("asked_entry", String(ID_LENGTH), nullable=False),
    Column("verdict", String(8), comment="granted or refused; null while nobody has decided"),
    Column("decided_by", String(ID_LENGTH), comment="another principal"),
    Column("decided_at", Instant),
    Column("expires_at", Instant, comment="of a grant"),
    Column("decided_entry", String(ID_LENGTH)),
    Column("revoked_at", Instant),
    Column("revoked_by", String(ID_LENGTH)),
    Column("revoked_entry", String(ID_LENGTH)),
)

emergency_access = Table(
    "emergency_access",
    metadata,
    Column("emergency_id", String(ID_LENGTH), primary_key=True),
    Column("principal_id", String(ID_LENGTH), nullable=False, comment="who opened"),
    Column("role", String(32), nullable=False),
    Column("subject_id", String(ID_LENGTH), index=True, comment="null once the person was erased"),
    Column("purpose", String(32), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False, comment="unreviewed from here on, the account is frozen"),
    Column("entry_id", String(ID_LENGTH), nullable=False),
    Column("verdict", String(16), comment="justified or incident; null while nobody has reviewed it"),
    Column("reviewed_by", String(ID_LENGTH)),
    Column("reviewed_at", Instant),
    Column("review_entry", String(ID_LENGTH)),
    Column("frozen_entry", String(ID_LENGTH), comment="that tells of the freeze; the freeze itself needs none"),
    Column("released_by", String(ID_LENGTH)),
    Column("released_at", Instant),
    Column("release_entry", String(ID_LENGTH)),
    Index(None, "principal_id", "opened_at"),
)


def _window_columns() -> list[Column[Any]]:
    columns: list[Column[Any]] = []
    for window in ("minute", "hour", "day"):
        columns.append(Column(f"{window}_at", Instant, nullable=False, comment="when the window began"))
        columns += [Column(f"{window}_{what}", Integer, nullable=False) for what in ("reads", "fields", "subjects")]
    return columns


def _told_columns() -> list[Column[Any]]:
    told = "when a limit of this window was last told of as reached"
    return [Column(f"{window}_told_at", Instant, comment=told) for window in ("minute", "hour", "day")]


reading_count = Table(
    "reading_count",
    metadata,
    Column("principal_id", String(ID_LENGTH), primary_key=True),
    *_window_columns(),
    *_told_columns(),
)

reading_subject = Table(
    "reading_subject",
    metadata,
    Column("principal_id", String(ID_LENGTH), primary_key=True),
    Column("subject_id", String(ID_LENGTH), primary_key=True, index=True),
    Column("read_at", Instant, nullable=False, comment="last"),
)

webhook_target = Table(
    "webhook_target",
    metadata,
    Column("target_id", String(ID_LENGTH), primary_key=True),
    Column("recipient", String(128), nullable=False, comment="its code, or *joint"),
    Column("url", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False, comment="sealed, bound to target_id"),
    Column("former", LargeBinary, nullable=True, comment="the secret before it, sealed"),
    Column("former_until", Instant, nullable=True, comment="until then both sign"),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant, nullable=True),
    Column("disabled_why", String(16), nullable=True, comment="operator or gone"),
)

alarm = Table(
    "alarm",
    metadata,
    Column("alarm_id", String(ID_LENGTH), primary_key=True),
    Column("target_id", ForeignKey(webhook_target.c.target_id), nullable=False),
    Column("body", Text, nullable=False, comment="JSON: codes, ids and instants"),
    Column("created_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, index=True, comment="null once it was told, or its target is disabled"),
)

content_review = Table(
    "content_review",
    metadata,
    Column("review_id", String(ID_LENGTH), primary_key=True),
    Column("kind", String(16), nullable=False, comment="post or campaign"),
    Column("author", String(16), nullable=False, comment="member, doctor or operator"),
    Column("subject_id", String(ID_LENGTH), index=True, comment="whose post; null where nobody is named"),
    Column("text_mark", String(64), nullable=False, comment="keyed hash of the text that may appear"),
    Column("sealed", LargeBinary, comment="the text; null where it is blocked, and of a post that was decided"),
    Column("rules_hash", String(64), nullable=False),
    Column("action", String(8), nullable=False, comment="the severest of the rules'"),
    Column("hits", Text, nullable=False, comment="JSON: counts by rule"),
    Column("submitted_by", String(ID_LENGTH), nullable=False, comment="a principal"),
    Column("submitted_at", Instant, nullable=False, index=True),
    Column("submit_entry", String(ID_LENGTH), nullable=False),
    *(
        column
        for part in ("medical", "compliance")
        for column in (
            Column(f"{part}_verdict", String(8), comment="approved or rejected; null while nobody has said"),
            Column(f"{part}_by", String(ID_LENGTH), comment="another principal"),
            Column(f"{part}_at", Instant),
            Column(f"{part}_entry", String(ID_LENGTH)),
        )
    ),
)
