"""How the command line ends: exit status, one line, no values, no traceback."""

import io
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from consentry import cli
from kernel.errors import BadInput, Unavailable

COMMAND = [sys.executable, "-c", "from consentry.cli import main; main()"]


def failing(error: BaseException):
    """A command tree with one command that fails."""
    made = typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)

    @made.callback()
    def group() -> None:
        """A group."""

    @made.command("fail")
    def fail() -> None:
        raise error

    return made


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (BadInput("No such field", hint="See fields.yaml."), 2, "No such field. See fields.yaml."),
        (Unavailable("The data store is locked"), 1, "The data store is locked"),
        (FileNotFoundError(2, "No such file or directory", "a.csv"), 1, "No such file or directory: a.csv"),
        (OSError(), 1, "OSError"),
        (typer.Abort(), 130, "Interrupted"),
        (BadInput("two\nlines"), 2, "two lines"),
    ],
)
def test_expected_error_is_one_line(run, monkeypatch, error, status, line):
    """Each kind of error has its exit status, and says one line on standard error."""
    monkeypatch.setattr(cli, "app", failing(error))
    ended = run("fail")
    assert (ended.status, ended.out) == (status, "")
    assert ended.line == line


def test_interrupt_from_the_keyboard_ends_as_shells_expect(run, monkeypatch):
    """Ctrl-C needs no explanation: 128 + SIGINT, and not a word."""
    monkeypatch.setattr(cli, "app", failing(KeyboardInterrupt()))
    ended = run("fail")
    assert (ended.status, ended.out, ended.err) == (130, "", "")


def test_unforeseen_error_shows_its_type_and_place_but_no_value(run, monkeypatch):
    """A library's message may hold a value, so that only the type and our own place are shown."""
    monkeypatch.setattr(cli, "app", failing(ValueError("could not convert 13912345678")))
    ended = run("fail")
    assert ended.status == 1
    assert "ValueError" in ended.line
    assert "consentry/cli/__init__.py:" in ended.line
    assert "13912345678" not in ended.err


def test_unforeseen_error_outside_our_code_has_no_place(run, monkeypatch):
    """Where no frame is ours, the line does without a place."""
    assert cli._defect(ValueError("x")).startswith("A defect: ValueError. ")


def test_exit_status_of_a_command_is_kept(run, monkeypatch):
    """A command that ends with a status of its own decides."""
    monkeypatch.setattr(cli, "app", failing(typer.Exit(2)))
    assert run("fail").status == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "No such command 'frobnicate'. See `consentry --help`."),
        (["ingest", "frobnicate"], "No such command 'frobnicate'. See `consentry ingest --help`."),
        (["view", "list", "--frobnicate"], "No such option: --frobnicate. See `consentry view list --help`."),
        (["ingest", "fhir"], "Missing argument 'paths'. See `consentry ingest fhir --help`."),
        (["account", "key", "x"], "Missing option '--role'. See `consentry account key --help`."),
        (["init", "extra"], "Got unexpected extra argument(s) (extra). See `consentry init --help`."),
    ],
)
def test_wrong_command_line_is_one_line(run, words, said):
    """Unknown commands and options, and missing or superfluous arguments, name the help to read."""
    ended = run(*words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.line == said


@pytest.mark.parametrize(
    "words", [["tags", "run", "--as-of", "soon"], ["serve", "--port", "0"], ["demo", "--seed", "x"]]
)
def test_wrong_value_names_its_option(run, words):
    """An option's value that cannot be read is one line, too."""
    ended = run(*words)
    assert ended.status == 2
    assert ended.line.startswith(f"Invalid value for '{words[-2]}'")


def test_argument_that_is_no_text_is_refused(run):
    """A file name in another encoding arrives as bytes that are no UTF-8; it is named by its place."""
    ended = run("ingest", "fhir", "\udcb6\udca9.json")
    assert (ended.status, ended.out) == (2, "")
    assert ended.line == "Argument 3 is not valid UTF-8. Rename the file, or correct the argument."


def test_line_moves_no_cursor_and_has_an_end(run):
    """What is echoed from the command line can neither colour the terminal nor fill it."""
    ended = run("tags", "explain", "x", "y", "--language", "\x1b[31m\u202e" + "z" * 10_000)
    assert ended.status == 2
    assert "\\x1b[31m\\u202ezzz" in ended.line
    assert ended.line.endswith("…")
    assert len(ended.line) == cli.MAX_LINE + 1


def test_no_crash_of_a_command_leaves_its_memory_behind(run):
    """Every command, and with it every server, begins by forbidding core dumps."""
    run("--version")
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


@pytest.mark.parametrize("words", [[], ["ingest"], ["view"], ["pack"]])
def test_group_alone_shows_its_help(run, words):
    """Without a command there is nothing to do, and exit 2 says so to a script."""
    ended = run(*words)
    assert ended.status == 2
    assert "Usage: consentry" in ended.err
    assert "Traceback" not in ended.err


def test_reader_that_went_away_ends_the_command_quietly(home):
    """`consentry … | head` is no error worth a line, and no traceback of the interpreter's end."""
    words = [*COMMAND, "audit", "query", "--limit", "500", "--json", "--home", str(home)]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


class FullDisk(io.StringIO):
    """A stream that takes everything and can bring nothing out."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_what_cannot_be_brought_out_is_dropped(home, monkeypatch, capsys):
    """So that the interpreter's end does not try again and say a second line."""
    full = FullDisk()
    monkeypatch.setattr(sys, "stdout", full)
    with pytest.raises(SystemExit) as ended:
        cli.main(["view", "list", "--home", str(home)])
    assert ended.value.code == 1
    assert sys.stdout is not full
    assert capsys.readouterr().err == "consentry: No space left on device\n"


def test_broken_pipe_drops_the_rest_quietly(run, monkeypatch):
    """Nobody reads any more, so that nobody needs a line."""
    monkeypatch.setattr(cli, "app", failing(BrokenPipeError()))
    ended = run("fail")
    assert (ended.status, ended.out, ended.err) == (1, "", "")


def test_user_without_a_name_is_a_number(monkeypatch):
    """In a container the system may know no name for the user."""
    from consentry.cli import session

    def nameless() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", nameless)
    assert session.local_operator().principal_id == f"local:{os.getuid()}"


def test_output_that_cannot_be_written_is_said(home):
    """A full disk behind standard output is an error of one line."""
    with Path("/dev/full").open("w") as full:
        words = [*COMMAND, "audit", "query", "--home", str(home)]
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "consentry: No space left on device\n")


def test_closed_standard_streams_are_no_error(home):
    """A service without standard streams runs all the same."""
    shell = f'"$0" -c "from consentry.cli import main; main()" view list --home "{home}" >&- 2>&-'
    ended = subprocess.run(["sh", "-c", shell, sys.executable], check=False)
    assert ended.returncode == 0


def test_closed_standard_input_holds_no_password(home, monkeypatch, capsys):
    """There is nothing to read, and that is a wrong password like any other."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["account", "token", "admin", "--password-stdin", "--home", str(home)])
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("consentry: The credentials are not valid")


def test_character_that_the_terminal_lacks_is_escaped(home, run, monkeypatch):
    """Chinese words on an ASCII terminal end no command."""
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    with pytest.raises(SystemExit) as ended:
        cli.main(["account", "person", "林医生", "--role", "clinician", "--home", str(home)])
    assert ended.value.code == 0
    assert b"name      \\u6797\\u533b\\u751f\n" in narrow.buffer.getvalue()


def test_help_imports_no_heavy_library():
    """`consentry --help` answers at once: no database, table or text library is loaded for it."""
    heavy = (
        "sqlalchemy",
        "pandas",
        "pydantic",
        "presidio_analyzer",
        "duckdb",
        "pyarrow",
        "fastapi",
        "cryptography",
        "rich",
    )
    script = (
        "import sys\n"
        "from consentry.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"sys.stderr.write(','.join(name for name in {heavy!r} if name in sys.modules))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Commands:" in ended.stdout
    assert ended.stderr == ""


def test_no_command_is_there_twice():
    """The later one would hide the earlier one without a word."""
    for group in groups(cli.app):
        names = [one.name or one.callback.__name__ for one in group.registered_commands]
        assert sorted(set(names)) == sorted(names)


def groups(app: typer.Typer) -> Iterator[typer.Typer]:
    """A tree of commands and every one below it."""
    yield app
    for group in app.registered_groups:
        yield from groups(group.typer_instance)
