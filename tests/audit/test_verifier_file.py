"""The verifier as one file, run by a Python that knows nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import cffi
import cryptography
import pytest

from audit.verifier_file import join_modules, verifier_text, write_verifier
from kernel.errors import BadInput, Unavailable


@pytest.fixture
def bare(tmp_path):
    """Run the one file in a folder of its own, with a path that has cryptography and cffi only."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    site = Path(cryptography.__file__).parent.parent
    for library in (cryptography, cffi):
        (libraries / Path(library.__file__).parent.name).symlink_to(Path(library.__file__).parent)
    for native in site.glob("_cffi_backend*"):
        (libraries / native.name).symlink_to(native)
    program = write_verifier(tmp_path / "elsewhere.py")

    def run(*words):
        start = f"import sys, runpy; sys.path.append({str(libraries)!r}); sys.argv = sys.argv[1:]; "
        code = start + "runpy.run_path(sys.argv[0], run_name='__main__')"
        command = [sys.executable, "-I", "-S", "-c", code, str(program), *map(str, words)]
        return subprocess.run(command, cwd=libraries, capture_output=True, text=True, check=False)

    return run


def test_one_file_verifies_a_real_export(desk, bare):
    """Whole, tampered and in Chinese, as the package does."""
    desk.fill(300)
    folder = desk.log.export(desk.folder / "export").folder
    key = desk.signer.verifier_key
    done = bare("log", folder, "--key", key, "--entries", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["size"] == 300
    path = folder / "tile/entries/001.p/44"
    path.write_bytes(path.read_bytes().replace(b'"number":260}', b'"number":261}'))
    done = bare(folder, "--key", key, "--lang", "zh")
    assert (done.returncode, done.stderr) == (1, "")
    assert "260" in done.stdout
    assert bare("--help").stdout.startswith("usage: consentry-verify")


def test_file_is_the_same_each_time_and_is_not_overwritten(tmp_path):
    """Two people who make it can compare it."""
    text = verifier_text()
    assert write_verifier(tmp_path / "one.py").read_text(encoding="utf-8") == text == verifier_text()
    assert "audit.verifier." not in "".join(line for line in text.splitlines() if "import" in line)
    with pytest.raises(BadInput, match="exists"):
        write_verifier(tmp_path / "one.py")
    with pytest.raises(Unavailable, match="cannot be written"):
        write_verifier(tmp_path / "none" / "one.py")


def test_modules_that_cannot_be_joined_are_refused():
    """A name that stands twice would be another's in one file."""
    first = '"""One."""\n\nimport re\n\nLIMIT = 1\n'
    for second in (
        '"""Two."""\n\nLIMIT = 2\n',
        '"""Two."""\n\ndef re() -> None: ...\n',
        '"""Two."""\n\nfrom audit.verifier import merkle\n',
        '"""Two."""\n\nimport audit.verifier.merkle\n',
        '"""Two."""\n\nimport json as j\n',
    ):
        with pytest.raises(ValueError, match="verifier"):
            join_modules({"one": first, "two": second})
    joined = join_modules({"one": first, "two": '"""Two."""\n\nfrom re import compile\n\nMORE = LIMIT\n'})
    assert "import re\nimport sys\nfrom re import compile\n" in joined
