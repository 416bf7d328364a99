"""A DuckDB session that can read the files it was given and reach nothing else.

What each setting answers: a rule or a file name must not read or write another file, fetch an extension, reach the
network, see Python's variables, or leave spilled rows on the disk. The settings are locked before the first query.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from tagging.duck import MACROS, Parameter
from tagging.errors import InputRefused
from tagging.schema import PSEUDONYM, ViewColumn

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_T = TypeVar("_T")

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
    "enable_external_file_cache": False,
    "temp_directory": "",
}

_GLOB: Final = frozenset("*?[]{}")


class Session:
    """Queries over the given files; made by ``locked``."""

    def __init__(self, connection: "DuckDBPyConnection") -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Parameter]) -> list[tuple[object, ...]]:
        """Run a query and return its rows."""
        return self._run(lambda: self._connection.execute(sql, parameters).fetchall())

    def table(self, sql: str, parameters: Sequence[Parameter]) -> "pa.Table":
        """Run a query and return a table."""
        return self._run(lambda: self._connection.sql(sql, params=list(parameters)).to_arrow_table())

    def types(self, path: Path) -> dict[str, str]:
        """Return the DuckDB type of every column of a Parquet file."""
        described = self.rows(f"DESCRIBE SELECT * FROM {source('$1')}", [str(path)])
        return {str(name): str(type_) for name, type_, *_ in described}

    def _run(self, query: Callable[[], _T]) -> _T:
        import duckdb

        try:
            return query()
        except duckdb.Error as err:
            # DuckDB's own text may quote a value of the file.
            raise InputRefused(
                f"The tag engine could not read its input ({type(err).__name__})",
                hint="Build the view again; it must be a whole Parquet file.",
            ) from None


def source(placeholder: str) -> str:
    """Return the table function for a Parquet file whose path is bound: no columns from folder names."""
    return f"read_parquet({placeholder}, hive_partitioning = false)"


@contextmanager
def locked(*paths: Path) -> Iterator[tuple[Session, list[Path]]]:
    """Open a session that can read these Parquet files only.

    Returns:
        The session and the resolved paths, in the order given.
    Raises:
        InputRefused: a path that is no plain file.
    """
    import duckdb

    resolved = [_plain_file(path) for path in paths]
    with duckdb.connect(":memory:", config=_CONFIG) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for macro in MACROS:
            connection.execute(macro)
        connection.execute(f"SET allowed_paths = [{', '.join(_quoted(str(path)) for path in resolved)}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield Session(connection), resolved


def check_columns(session: Session, path: Path, schema: Mapping[str, ViewColumn], needed: frozenset[str]) -> None:
    """Check that a file is one of the de-identified views, as far as its columns tell.

    Raises:
        InputRefused: a column that the view does not have, a needed one that is missing, or another type.
    """
    found = session.types(path)
    if unknown := sorted(found.keys() - schema.keys()):
        raise InputRefused(
            f"{path.name} has columns that the view does not have: {', '.join(unknown)}",
            hint="The tag engine reads de-identified views only.",
        )
    if missing := sorted((needed | {PSEUDONYM}) - found.keys()):
        raise InputRefused(f"{path.name} lacks the columns {', '.join(missing)}", hint="Build the view again.")
    for name in sorted(found):
        if found[name] not in schema[name].physical:
            wanted = " or ".join(schema[name].physical)
            raise InputRefused(
                f"{path.name}: column {name} is {found[name]}, expected {wanted}", hint="Build the view again."
            )


def check_one_row_each(session: Session, path: Path) -> None:
    """Check that every row has a pseudonym and none has two rows.

    Raises:
        InputRefused: otherwise.
    """
    sql = f"SELECT count(*), count(pseudonym), count(DISTINCT pseudonym) FROM {source('$1')}"
    ((total, known, distinct),) = session.rows(sql, [str(path)])
    if not total == known == distinct:
        raise InputRefused(f"{path.name} has not one row for each pseudonym", hint="Build the view again.")


def _plain_file(path: Path) -> Path:
    if not path.is_file():
        raise InputRefused(f"There is no file {path.name}", hint="Build the view first.")
    resolved = path.resolve()
    if _GLOB & set(str(resolved)):
        raise InputRefused(f"The path of {path.name} has a wild card in it", hint="Move the file to a plain folder.")
    return resolved


def _quoted(text: str) -> str:
    """Return a SQL text literal: DuckDB knows no escape in it but the doubled quote."""
    return "'" + text.replace("'", "''") + "'"
