"""Who must be left out of something that is built already: everybody whose decision does not cover it any more."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from consent.asking import Asking
from consent.locks import lock_for_permits
from consentry.platform import Platform
from consentry.rewriting import read_rows
from kernel.ids import SubjectId

_BATCH: Final = 5_000


def read_pseudonyms(files: Sequence[Path]) -> list[str]:
    """Return the distinct pseudonyms of Parquet files, sorted."""
    import pyarrow.compute as pc

    found: set[str] = set()
    for file in files:
        found.update(pc.unique(read_rows(file, columns=["pseudonym"])["pseudonym"]).to_pylist())
    return sorted(found)


def withheld_pseudonyms(
    platform: Platform,
    asking: Asking,
    *,
    scope: str,
    pseudonyms: Sequence[str],
    purpose: str,
    fields: Collection[str],
    recipient: str | None = None,
) -> tuple[set[str], dict[str, SubjectId]]:
    """Ask the gate about everybody behind some pseudonyms, and say whom to leave out.

    A pseudonym whose way back is gone belongs to an erased subject and is left out; so is somebody of whom what was
    derived is of other data than what is stored now, until it is taken away.

    Returns:
        The pseudonyms to leave out, and the subjects behind the others.
    """
    subjects = platform.pseudonyms.subjects_of(scope, pseudonyms)
    people = sorted(set(subjects.values()))
    permitted: set[SubjectId] = set()
    for start in range(0, len(people), _BATCH):
        with platform.data.write() as connection:
            verdict = platform.gate.check_many(
                connection,
                asking=asking,
                purpose=purpose,
                subjects=people[start : start + _BATCH],
                fields=fields,
                recipient=recipient,
            )
        if verdict.permit is not None:
            permitted.update(s for s in verdict.permit.subjects if s not in verdict.refused)
    with platform.data.read() as connection:
        permitted -= platform.wake.outdated(connection)
    live = {name: subject for name, subject in subjects.items() if subject in permitted}
    return {name for name in pseudonyms if name not in live}, live


def ended_meanwhile(
    platform: Platform,
    connection: Connection,
    asking: Asking,
    *,
    used: Mapping[SubjectId, Collection[str]],
    purpose: str,
    recipient: str | None = None,
) -> set[SubjectId]:
    """Return those for whom a field that was used does not pass any more, under the lock of their rows.

    Called in the transaction that registers what was made of them: a withdrawal, restriction or erasure is either
    seen here, or comes later and finds the product registered. A use that the permit has taken counts as left.
    """
    people = sorted(used)
    fields = frozenset[str]().union(*used.values())
    ended: set[SubjectId] = set()
    lock_for_permits(connection, people)
    for start in range(0, len(people), _BATCH):
        batch = people[start : start + _BATCH]
        said = platform.gate.preview_many(
            connection,
            asking=asking,
            purpose=purpose,
            subjects=batch,
            fields=fields,
            recipient=recipient,
            counting_uses=False,
        )
        ended.update(s for s in batch if any(said[s][code] is not None for code in used[s]))
    return ended
