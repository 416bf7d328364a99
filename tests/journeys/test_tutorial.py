"""Every command of the tutorial, in its order, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parent.parent.parent / "docs" / "tutorial.md"


def test_tutorial_runs_as_written(tmp_path: Path) -> None:
    """The page's shell blocks run one after the other and say what the page says they do."""
    blocks = re.findall(r"```bash\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=tmp_path, env={**os.environ, "PATH": path, "COLUMNS": "160"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "〔手机〕" in done.stdout
    assert "13800138000" not in done.stdout.split("subject_profile", 1)[1]
    assert "refused, as it should be" in done.stdout
    assert "The gate refuses diagnosis: WITHDRAWN" in done.stderr
    assert "stays: fields that it covers can still be used" in done.stdout
    assert "diagnosis: WITHDRAWN" in done.stdout
    assert (tmp_path / "history.html").is_file()
    assert "verified" in done.stdout
    assert "restricted_until" in done.stdout
    assert re.search(r"^mismatches +0$", done.stdout, re.MULTILINE)
    assert "Whole: " in done.stdout
    assert done.stdout.rstrip().endswith("one changed byte is found")
