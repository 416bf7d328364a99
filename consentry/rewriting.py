"""A registered build without some of its pseudonyms: written aside and signed first, then put in place.

The next manifest lies beside the present one until everything that it names is in place, so that whoever comes after
a crash can finish the work from what is there, and never signs a file that something else has changed.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deid.files import file_sha256
from deid.manifest import FILE_NAME, Manifest, parse_manifest, signed_manifest
from kernel.errors import Unavailable
from kernel.ports import Signer

if TYPE_CHECKING:
    import pyarrow as pa

NEXT: Final = "manifest.next"
PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.02
_WRITING: Final = ".writing"

Register = Callable[[str, int], None]
"""Takes the text of a renewed manifest and the number of rows into the data store."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was taken out: files rewritten, and the rows that they had of the subject."""

    files: int = 0
    rows: int = 0

    def __add__(self, other: "Cleared") -> "Cleared":
        """Return both together."""
        return Cleared(self.files + other.files, self.rows + other.rows)


@contextmanager
def rewriting(root: Path, *, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Let one rewriter of a deployment's derived files in at a time, whatever its process.

    Two that rewrite the same file for two people would each bring the other's person back.

    Raises:
        Unavailable: another one did not end in time.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(root / ".rewriting", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        _wait_for(handle, time.monotonic() + patience_seconds)
        yield
    finally:
        os.close(handle)


def rewrite_build(folder: Path, names: Collection[str], *, signer: Signer, register: Register) -> Cleared:
    """Rewrite a build's Parquet files without the rows of some pseudonyms, and renew its manifest.

    Call it inside ``rewriting``.

    Args:
        folder: of the build; one that is gone holds nothing.
        names: the pseudonyms.
        register: called when the files are in place and the manifest is not.
    """
    if not (folder / FILE_NAME).is_file():
        return Cleared()
    finish_rewrite(folder, register)
    drafts = {file: draft for file in sorted(folder.glob("*.parquet")) if (draft := _draft_without(file, names))}
    if not drafts:
        return Cleared()
    taken = sum(count_rows(file) - count_rows(draft) for file, draft in drafts.items())
    present = _read_manifest(folder / FILE_NAME)
    _write_durably(folder / NEXT, signed_manifest(_renewed(present, folder, drafts), signer))
    finish_rewrite(folder, register)
    return Cleared(len(drafts), taken)


def finish_rewrite(folder: Path, register: Register) -> None:
    """Put in place what a rewrite prepared; drafts that no manifest names go."""
    waiting = folder / NEXT
    waiting.with_suffix(_WRITING).unlink(missing_ok=True)
    prepared = _read_manifest(waiting) if waiting.is_file() else None
    for draft in sorted(folder.glob("*.draft")):
        file = draft.with_suffix(".parquet")
        if prepared is not None and prepared.files.get(file.name) == file_sha256(draft):
            draft.replace(file)
        else:
            draft.unlink()
    if prepared is not None:
        register(waiting.read_text("utf-8"), prepared.counts["rows"])
        waiting.replace(folder / FILE_NAME)


def read_rows(file: Path, columns: Sequence[str] | None = None) -> "pa.Table":
    """Return a Parquet file's rows as they were at one moment.

    The file is opened once. A path given to pyarrow is opened twice, for the footer and for the rows, and a rewrite
    that takes its place in between leaves a reader with the footer of one file and the rows of the other. It is opened
    by pyarrow: its threads abort a process that ends while they hold a file of Python's.

    Raises:
        FileNotFoundError: there is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pa.OSFile(str(file)) as opened:
        return pq.read_table(opened, columns=None if columns is None else list(columns))


def rewrite_without(file: Path, names: Collection[str]) -> bool:
    """Rewrite a Parquet file without the rows of some pseudonyms, whole or not at all; says whether it held any."""
    draft = _draft_without(file, names)
    if draft is not None:
        draft.replace(file)
    return draft is not None


def holds(file: Path, name: str) -> bool:
    """Say whether a Parquet file has rows of a pseudonym."""
    import pyarrow as pa
    import pyarrow.compute as pc

    named = read_rows(file, columns=["pseudonym"])["pseudonym"]
    return bool(pc.any(pc.equal(named, pa.scalar(name, pa.string()))).as_py())


def _wait_for(handle: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Unavailable("Derived files are being rewritten by somebody else", hint="Try again.") from None
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _draft_without(file: Path, names: Collection[str]) -> Path | None:
    """Write a file's rows but those of some pseudonyms beside it; None when it has none of them."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    gone = pa.array(sorted(names), pa.string())
    if not pc.any(pc.is_in(read_rows(file, columns=["pseudonym"])["pseudonym"], gone)).as_py():
        return None  # most files have nobody of them, and their other columns need not be read
    table = read_rows(file)
    kept = table.filter(pc.invert(pc.is_in(table["pseudonym"], gone)))
    draft = file.with_suffix(".draft")
    try:
        pq.write_table(kept, draft, compression="zstd")
        _sync(draft)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def _renewed(present: Manifest, folder: Path, drafts: Mapping[Path, Path]) -> Manifest:
    """Return the manifest of a build once its drafts are in place."""
    import pyarrow as pa
    import pyarrow.compute as pc

    coming = {name: drafts.get(folder / name, folder / name) for name in present.files}
    left = pa.concat_tables([read_rows(file, columns=["pseudonym"]) for file in coming.values()])
    people = pc.count_distinct(left["pseudonym"]).as_py()
    return replace(
        present,
        files={name: file_sha256(file) for name, file in coming.items()},
        counts={"persons_out": people, "rows": left.num_rows},
    )


def count_rows(file: Path) -> int:
    """Return how many rows a Parquet file has."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(file).num_rows)


def _read_manifest(path: Path) -> Manifest:
    return parse_manifest(json.loads(path.read_bytes())["manifest"])


def _write_durably(path: Path, content: bytes) -> None:
    draft = path.with_suffix(_WRITING)
    draft.write_bytes(content)
    _sync(draft)
    draft.replace(path)


def _sync(path: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())
