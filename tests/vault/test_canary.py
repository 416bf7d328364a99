"""What lies on disk: ciphertext and random ids, and after an erasure not even that."""

import logging

from sqlalchemy import select

from kernel.ids import SubjectId
from vault.epoch_rotation import rotate_epoch
from vault.identity import IdentityKeys
from vault.tables import blind_index, data_key, identity_fact, pseudonym, sealed_record

PLANTED = {
    "name": "欧阳静怡",
    "id_number": "110101199003074514",
    "mobile": "13912345678",
    "diagnosis": "icd10:B20.9",
    "consult_chat": "最近总是失眠心慌",
    "order_amount": "7342.55",
    "reading": "142.25",
    "page": "hiv-selftest-landing",
}


HELD = ("diagnosis", "order_amount")


def plant(house, *, held: bool = True) -> SubjectId:
    """Store every planted value, link its identity and give it a pseudonym and a token."""
    subject = house.subject()
    values = {code: value for code, value in PLANTED.items() if held or code not in HELD}
    house.store(
        house.record(subject, number="record-4711", **values),
        house.record(subject, "profile", number="record-4712", name=PLANTED["name"], mobile=PLANTED["mobile"]),
    )
    stated = IdentityKeys(
        "his", "patient-90210", PLANTED["id_number"], house.clock.now().date(), "female", PLANTED["mobile"]
    )
    house.resolver.link([(subject, stated)], batch=None)
    other = IdentityKeys("his", "patient-90211", PLANTED["id_number"], sex="male")
    house.resolver.note_doubtful([(other, house.resolver.resolve_many([other])[0])], batch=None)
    house.pseudonyms.pseudonyms([subject], scope="view:profile")
    house.pseudonyms.token(PLANTED["name"], scope="view:profile")
    return subject


def test_no_planted_value_stands_in_either_store(suited_house, caplog, capsys):
    """Neither the database files nor journals, logs or output hold a value, in whole or as a source's id."""
    caplog.set_level(logging.DEBUG)
    subject = plant(suited_house)
    assert len(suited_house.open(subject, "P02", "name", "diagnosis")) == 2
    stored = suited_house.files()
    printed = caplog.text + "".join(capsys.readouterr())
    secrets = [*PLANTED.values(), "patient-90210", "record-4711", "asked by the person", "female"]
    for secret in secrets:
        for form in (
            secret.encode(),
            secret.encode("utf-16-le"),
            secret.encode().hex().encode(),
            secret.encode()[::-1],
        ):
            assert form not in stored, "a planted value stands in a store"
        assert secret not in printed
    assert subject.encode() in stored, "the search must be able to find something"


def test_no_unwrapped_key_stands_in_either_store(suited_house, monkeypatch):
    """Every key that is made reaches the disk wrapped only, before and after the end of an epoch."""
    made = []
    real = __import__("os").urandom

    def noted(size):
        made.append(real(size))
        return made[-1]

    monkeypatch.setattr("vault._keyring.os.urandom", noted)
    plant(suited_house)
    before = suited_house.files()
    rotate_epoch(suited_house.keystore, suited_house.data, suited_house.log, asking=suited_house.asking)
    stored = before + suited_house.files()
    keys = [value for value in made if len(value) in {16, 32}]
    assert len(keys) > 5
    assert not any(key in stored for key in keys)
    assert any(value in stored for value in made if len(value) == 8), "the search must be able to find key ids"


def traces(house, subject: SubjectId) -> list[bytes]:
    """Return every byte string that belongs to one subject alone and must be gone after its erasure."""
    found: list[bytes] = []
    with house.data.read() as connection:
        for row in connection.execute(select(sealed_record).where(sealed_record.c.subject_id == subject)):
            found += [row.payload, row.payload[-48:], row.content_key, row.record_key.encode(), row.record_id.encode()]
    with house.keys.read() as connection:
        for table, columns in (
            (data_key, ("wrapped",)),
            (blind_index, ("digest",)),
            (identity_fact, ("digest",)),
            (pseudonym, ("pseudonym",)),
        ):
            for row in connection.execute(select(table).where(table.c.subject_id == subject)):
                values = [getattr(row, column) for column in columns]
                found += [value.encode() if isinstance(value, str) else value for value in values]
    return found


def test_after_an_erasure_no_byte_of_the_subject_is_left_in_the_files(suited_house):
    """Ciphertext, wrapped keys, blind indexes and pseudonyms are overwritten, not only unlinked (secure_delete)."""
    subject = plant(suited_house, held=False)
    before = traces(suited_house, subject)
    assert len(before) > 20
    assert all(trace in suited_house.files() for trace in before)
    suited_house.erase(subject)
    left = suited_house.files()
    assert [trace for trace in before if trace in left] == []


def test_erasing_some_of_many_leaves_no_copy_of_them_on_split_pages(house):
    """Pages that were split and merged on the way keep no stale copy once the stores are scrubbed."""
    subjects = [house.subject() for _ in range(300)]
    for start in range(0, 300, 50):
        house.store(
            *(
                house.record(subject, number=f"{number}-{visit}", name=f"n{number}", reading=f"{number}.{visit}" * 9)
                for number, subject in enumerate(subjects[start : start + 50], start)
                for visit in range(6)
            )
        )
    links = [
        (subject, IdentityKeys("his", f"p-{number}", f"id-{number}", mobile=f"139{number:08}"))
        for number, subject in enumerate(subjects)
    ]
    house.resolver.link(links, batch=None)
    house.pseudonyms.pseudonyms(subjects, scope="view:profile")
    erased = subjects[7::10]
    before = [trace for subject in erased for trace in traces(house, subject)]
    for subject in erased:
        house.erase(subject)
    house.eraser.scrub()
    left = house.files()
    assert [trace for trace in before if trace in left] == []
    assert traces(house, subjects[0])[0] in left


def test_a_write_ahead_log_keeps_nothing_of_the_erased(tmp_path, build, monkeypatch):
    """Where SQLite runs with a write-ahead log, old pages in it go with the erasure."""
    monkeypatch.setattr("kernel.database.sqlite_journal_mode", lambda _version: "WAL")
    house = build(f"sqlite:///{tmp_path / 'data.db'}", f"sqlite:///{tmp_path / 'keys.db'}")
    subject = plant(house, held=False)
    before = traces(house, subject)
    with house.data.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert b"".join(path.read_bytes() for path in tmp_path.glob("*.db-wal"))
    house.erase(subject)
    left = b"".join(path.read_bytes() for path in tmp_path.glob("*.db*"))
    assert [trace for trace in before if trace in left] == []
