"""A crowd for the register, made by SQL: standing rows, what stands for one purpose, and decisions behind it."""

from typing import Final

from sqlalchemy import Connection

PURPOSE: Final = "P07"

_SQLITE: Final = (
    "CREATE TEMP TABLE crowd (k INTEGER PRIMARY KEY, id TEXT)",
    """WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < {size})
    INSERT INTO crowd SELECT k, 'sub_' || lower(hex(randomblob(12))) FROM n""",
)
_POSTGRESQL: Final = (
    """CREATE TEMP TABLE crowd AS SELECT k, 'sub_' || substr(md5(random()::text || k::text), 1, 24) AS id
    FROM generate_series(1, {size}) AS k""",
)
_STANDINGS: Final = (
    "INSERT INTO subject_standing (subject_id, revision, state, age_class, age_class_until, registered_at, deceased, "
    "no_kin) SELECT id, 1, CASE WHEN k % 50 = 0 THEN 'restricted' ELSE 'active' END, "
    "CASE WHEN k % 10 = 0 THEN 'under_18' ELSE 'adult' END, {until}, {at}, {no}, {no} FROM crowd ORDER BY id"
)
_CURRENT: Final = (
    "INSERT INTO consent_current (subject_id, purpose, recipient, track, act, decision_id, by_guardian, decided_at, "
    "valid_until, notice_code, notice_edition, fields, uses) SELECT id, '{purpose}', '', 'consent', "
    "CASE WHEN k % 5 = 0 THEN 'refuse' ELSE 'grant' END, 'dec' || substr(id, 4), {no}, {at}, "
    "CASE WHEN k % 3 = 0 THEN {at} + (k % 30) * 86400000000 END, '{notice}', 1, "
    "CASE WHEN k % 7 = 0 THEN '[\"sex\"]' END, 0 FROM crowd WHERE k % 11 > 0 ORDER BY id"
)
_DECISIONS: Final = (
    "INSERT INTO decision (decision_id, subject_id, purpose, recipient, track, act, notice_code, notice_version, "
    "notice_locale, notice_hash, actor_kind, decided_at, recorded_at, evidence, request_id, entry_id) "
    "SELECT 'dec{number}' || substr(id, 4), id, '{purpose}', '', 'consent', 'grant', '{notice}', '1', 'zh-CN', "
    "'{hash}', 'self', {at}, {at}, x'00', 'req_bench', 'ent' || substr(id, 4) FROM crowd ORDER BY id"
)


def fill(connection: Connection, size: int, *, notice: str, at_micros: int) -> None:
    """Insert ``size`` people, ten in eleven of them with a decision that stands for ``PURPOSE``.

    Args:
        connection: a write transaction of an empty data store.
        size: how many people.
        notice: the code of the notice that their grants name, in its first edition.
        at_micros: when everybody registered and decided.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    until = "'2028-01-01'" if is_sqlite else "DATE '2028-01-01'"
    words = {"size": size, "at": at_micros, "notice": notice, "purpose": PURPOSE, "no": "0" if is_sqlite else "false"}
    made = "CASE WHEN k % 10 = 0 THEN " + until + " END"
    for statement in (*(_SQLITE if is_sqlite else _POSTGRESQL), _STANDINGS, _CURRENT):
        connection.exec_driver_sql(statement.format(until=made, **words).replace("%", "%" if is_sqlite else "%%"))


def add_decisions(connection: Connection, rounds: int, *, notice: str, at_micros: int) -> None:
    """Insert ``rounds`` decisions of each of the crowd on SQLite, without evidence; the gate reads none of them."""
    for number in range(rounds):
        words = {
            "notice": notice,
            "at": at_micros,
            "hash": "ab" * 32,
            "number": number,
            "purpose": f"P{number % 16 + 1:02}",
        }
        connection.exec_driver_sql(_DECISIONS.format(**words))
