"""A session reads the files that it was given and reaches nothing else."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagging.errors import InputRefused
from tagging.schema import EVENT_COLUMNS, SUBJECT_COLUMNS
from tagging.session import check_columns, check_one_row_each, locked, source


@pytest.fixture
def parquet(tmp_path):
    """Write a Parquet file of columns into the test's folder."""

    def write(name: str = "given.parquet", **columns):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), path)
        return path

    return write


def test_given_file_can_be_read(parquet):
    """The file that was given is read by its bound path."""
    with locked(parquet(pseudonym=["a", "b"])) as (session, (path,)):
        assert session.rows(f"SELECT count(*) FROM {source('$1')}", [str(path)]) == [(2,)]


def test_quote_in_a_file_name_is_only_a_character(parquet):
    """A path with a quote does not end the text of the setting that allows it."""
    with locked(parquet("it's'.parquet", pseudonym=["a"])) as (session, (path,)):
        assert session.rows(f"SELECT count(*) FROM {source('$1')}", [str(path)]) == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_parquet('{other}')",
        "SELECT * FROM read_parquet('{folder}/*.parquet')",
        "SELECT * FROM '{other}'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_json('/etc/passwd')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "COPY (SELECT 1) TO '{given}' (FORMAT parquet)",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/x.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET allowed_directories = ['/']",
        "SET temp_directory = '{folder}'",
        "SET autoload_known_extensions = true",
        "RESET lock_configuration",
        "SET lock_configuration = false",
        "PRAGMA enable_profiling",
        "CREATE PERSISTENT SECRET s (TYPE s3)",
        "SELECT * FROM secret_variable",
    ],
)
def test_everything_else_is_out_of_reach(sql, parquet, tmp_path):
    """Other files, writing, other databases, extensions, the network, settings and Python's variables are refused."""
    secret_variable = pa.table({"secret": [1]})
    given, other = parquet(pseudonym=["a"]), parquet("other.parquet", pseudonym=["b"])
    before = sorted(tmp_path.iterdir()), given.read_bytes()
    with locked(given) as (session, _), pytest.raises(InputRefused):
        session.rows(sql.format(given=given, other=other, folder=tmp_path), [])
    assert (sorted(tmp_path.iterdir()), given.read_bytes()) == before
    assert secret_variable.num_rows == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("enable_external_access", False),
        ("autoinstall_known_extensions", False),
        ("autoload_known_extensions", False),
        ("allow_community_extensions", False),
        ("allow_persistent_secrets", False),
        ("python_enable_replacements", False),
        ("enable_external_file_cache", False),
        ("lock_configuration", True),
        ("temp_directory", ""),
        ("allowed_directories", []),
    ],
)
def test_setting_is_the_strict_one(setting, value, parquet):
    """Every setting that opens a way out is closed; spilling rows to the disk is off."""
    with locked(parquet(pseudonym=["a"])) as (session, (path,)):
        assert session.rows(f"SELECT current_setting('{setting}')", []) == [(value,)]
        assert session.rows("SELECT current_setting('allowed_paths')", []) == [([str(path)],)]


def test_folder_name_adds_no_column(parquet):
    """A folder called pseudonym=x does not become a column."""
    with locked(parquet("ethnicity=han/given.parquet", pseudonym=["a"])) as (session, (path,)):
        assert session.types(path) == {"pseudonym": "VARCHAR"}


def test_missing_file_is_refused(tmp_path):
    """A path that is no file is named by its last part."""
    with pytest.raises(InputRefused, match=r"There is no file gone\.parquet"), locked(tmp_path / "gone.parquet"):
        pass


def test_wild_card_is_refused(parquet):
    """A path that DuckDB would take for a pattern is refused."""
    with pytest.raises(InputRefused, match="wild card"), locked(parquet("a*.parquet", pseudonym=["a"])):
        pass


def test_damaged_file_is_refused_without_its_content(tmp_path):
    """What is no Parquet file is refused by an error that quotes nothing of it."""
    path = tmp_path / "given.parquet"
    path.write_bytes(b"PAR1 secret-content PAR1")
    with locked(path) as (session, (given,)), pytest.raises(InputRefused, match="could not read its input") as caught:
        session.types(given)
    assert "secret" not in str(caught.value) + caught.value.diagnostics()
    assert caught.value.__suppress_context__


def test_column_beyond_the_view_is_refused(parquet):
    """A file with a mobile number in it is no de-identified view."""
    with locked(parquet(pseudonym=["a"], mobile=["13800138000"])) as (session, (path,)):
        with pytest.raises(InputRefused, match="columns that the view does not have: mobile") as caught:
            check_columns(session, path, SUBJECT_COLUMNS, frozenset())
        assert "138" not in str(caught.value)


def test_missing_column_is_named(parquet):
    """A column that a rule reads has to be there, and so has the pseudonym."""
    with (
        locked(parquet(sex=["female"])) as (session, (path,)),
        pytest.raises(InputRefused, match="lacks the columns age_band, pseudonym"),
    ):
        check_columns(session, path, SUBJECT_COLUMNS, frozenset({"age_band", "sex"}))


def test_type_of_a_column_is_checked(parquet):
    """A number written as text is refused, whether a rule reads it or not."""
    with (
        locked(parquet(pseudonym=["a"], hour=["12"])) as (session, (path,)),
        pytest.raises(InputRefused, match="column hour is VARCHAR, expected TINYINT or SMALLINT or INTEGER or BIGINT"),
    ):
        check_columns(session, path, EVENT_COLUMNS, frozenset())


@pytest.mark.parametrize("pseudonyms", [["a", "a"], ["a", None]])
def test_every_row_is_one_subject(pseudonyms, parquet):
    """Two rows of one pseudonym, or a row without one, are refused."""
    with (
        locked(parquet(pseudonym=pseudonyms)) as (session, (path,)),
        pytest.raises(InputRefused, match="not one row for each pseudonym"),
    ):
        check_one_row_each(session, path)
