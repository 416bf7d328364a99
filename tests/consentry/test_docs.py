"""The reference names every command, option and setting that there is, and none that there is not."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentry.cli import main
from consentry.settings import Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
_COMMAND = re.compile(r"^  ([a-z][a-z-]*)(?:  .*)?$", re.MULTILINE)
_OPTION = re.compile(r"--[a-z][a-z-]*")


@pytest.fixture
def help_of(capsys, monkeypatch):
    """Runs a command's real --help."""
    monkeypatch.setenv("COLUMNS", "400")

    def ask(*words: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        assert ended.value.code == 0
        return capsys.readouterr().out

    return ask


def commands(help_of, *words: str) -> Iterator[tuple[str, str]]:
    """Every command below some words, with its help."""
    said = help_of(*words)
    listed = said.partition("\nCommands:\n")[2]
    if not listed:
        yield " ".join(words), said
    for name in _COMMAND.findall(listed):
        yield from commands(help_of, *words, name)


def options(said: str) -> set[str]:
    """The options that a command's help lists, each at the beginning of its line."""
    lines = said.partition("\nOptions:\n")[2].splitlines()
    return {found for line in lines for found in _OPTION.findall(line.strip().partition("  ")[0])} - {"--help"}


def documented() -> dict[str, str]:
    """Sections of the reference by the command that heads them."""
    text = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    found = re.findall(r"^### `(.+?)`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    return {" ".join(word for word in heading.split() if word.islower()): body for heading, body in found}


def test_every_command_and_option_is_documented_and_nothing_else(help_of):
    """The reference and the real tree of --help name the same commands, with the same options."""
    real = {f"consentry {name}": options(said) for name, said in commands(help_of)}
    assert len(real) > 20
    told = {name: option_column(body) for name, body in documented().items() if name.startswith("consentry ")}
    assert told == real


def option_column(body: str) -> set[str]:
    """The options in the first column of a section's tables."""
    return {
        found for line in body.splitlines() if line.startswith("| `--") for found in _OPTION.findall(line.split("|")[1])
    }


def test_every_argument_is_named_in_its_heading(help_of):
    """The usage in the reference shows each command's arguments."""
    text = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    for name, said in commands(help_of):
        usage = said.splitlines()[0].partition("[OPTIONS]")[2]
        arguments = [word.strip("{}[].").upper() for word in usage.split()]
        heading = next(line for line in text.splitlines() if re.match(rf"### `consentry {name}[ `]", line))
        shown = [word.strip("[]…`") for word in heading.removeprefix(f"### `consentry {name}").split()]
        assert [word for word in shown if word] == arguments, name


def test_verifier_is_documented():
    """`consentry-verify` stands alone, and in the same reference."""
    ended = subprocess.run(
        [sys.executable, "-m", "audit.verifier", "--help"], capture_output=True, text=True, check=True
    )
    real = set(_OPTION.findall(ended.stdout)) - {"--help"}
    assert option_column(documented()["consentry-verify"]) == real


def test_every_setting_is_documented_with_variable_and_default():
    """One row each: name, variable, default and meaning; no row for what is no setting."""
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z0-9_]+)` \| (.*) \|$", text, re.MULTILINE))
    assert rows.keys() == Settings.model_fields.keys()
    for name, row in rows.items():
        variable, default, meaning = (cell.strip() for cell in row.split("|"))
        assert variable == f"`CONSENTRY_{name.upper()}`"
        stands = Settings.model_fields[name].default
        assert default == (f"`{stands}`" if stands not in (None, "") else ""), name
        first = (Settings.model_fields[name].description or "").split(";")[0].rstrip(".")
        assert meaning.startswith(first), name


def test_every_variable_that_the_code_reads_is_documented():
    """No setting hides in the code."""
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    for package in ("consentry", "audit", "vault", "consent", "deid", "tagging", "kernel"):
        for path in (ROOT / package).rglob("*.py"):
            for name in re.findall(r"CONSENTRY_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8")):
                assert f"`{name}`" in text, f"{name} in {path.name}"


def test_every_page_is_on_the_first_one():
    """Whoever opens the documents finds each of them from there."""
    docs = ROOT / "docs"
    first = (docs / "index.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(docs)) for page in docs.rglob("*.md")} - {"index.md"}
    assert set(re.findall(r"\]\(([^)#]+\.md)\)", first)) == pages
