"""``python -m benchmarks``: what it measures, prints and writes, and when it fails."""

import json

import pytest

from benchmarks.__main__ import MODULES, main
from benchmarks.figures import COLUMNS, Bound, Figure, Target

MET = Figure("demo", "start", 0.3, "s", "bare", 0.1, Target(Bound.AT_MOST, 0.4))
MISSED = Figure("vault", "seal", 10, "values/s", "bare", 100, Target(Bound.AT_LEAST, 0.4, of_ratio=True))
OPEN = Figure("tags", "speed", 10, "subjects/s")


def test_all_targets_met_is_success(tmp_path):
    """Figures without a target do no harm."""
    groups = {"demo": lambda: [MET], "tags": lambda: [OPEN]}
    assert main([], groups=groups, results=tmp_path / "results.json") == 0


def test_one_missed_target_fails_the_run(tmp_path, capsys):
    """The exit code is 1, and the table says which."""
    groups = {"demo": lambda: [MET], "vault": lambda: [MISSED]}
    assert main([], groups=groups, results=tmp_path / "results.json") == 1
    assert "NO" in capsys.readouterr().out


def test_every_figure_is_written(tmp_path):
    """results.json is a list of figures in the order of measuring, also when a target was missed."""
    main([], groups={"vault": lambda: [MISSED], "tags": lambda: [OPEN]}, results=tmp_path / "results.json")
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert written == [MISSED.as_json(), OPEN.as_json()]
    assert all(tuple(figure) == COLUMNS for figure in written)


def test_only_one_group_is_measured_when_asked(tmp_path, capsys):
    """The other group's function is not even called."""

    def never():
        raise AssertionError

    groups = {"demo": lambda: [MET], "vault": never}
    assert main(["--only", "demo"], groups=groups, results=tmp_path / "results.json") == 0
    assert "seal" not in capsys.readouterr().out


def test_an_unknown_group_is_wrong_usage(tmp_path, capsys):
    """The message lists the groups there are."""
    with pytest.raises(SystemExit) as left:
        main(["--only", "nothing"], groups={"demo": lambda: [MET]}, results=tmp_path / "results.json")
    assert left.value.code == 2
    assert "demo" in capsys.readouterr().err


def test_the_groups_are_those_of_the_makefile():
    """`make bench ONLY=…` names the groups that are there."""
    from pathlib import Path

    makefile = Path(__file__).parents[2] / "Makefile"
    assert f"ONLY={'|'.join(MODULES)}" in makefile.read_text(encoding="utf-8")


def test_every_module_of_a_group_can_be_measured():
    """Each has a function ``run``."""
    from importlib import import_module

    for modules in MODULES.values():
        for module in modules:
            assert callable(import_module(f"benchmarks.{module}").run)
