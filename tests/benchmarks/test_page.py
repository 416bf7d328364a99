"""The performance page takes over the last results."""

import json

import pytest

from benchmarks import page
from benchmarks.figures import Bound, Figure, Target

FIGURES = [
    Figure("demo", "wall", 12.5, "s", "a|b", 2.5, Target(Bound.AT_MOST, 90)),
    Figure("vault", "seal", 1, "values/s", "bare", 10, Target(Bound.AT_LEAST, 0.4, of_ratio=True)),
]


@pytest.fixture
def results(tmp_path):
    """A results file with one target met and one missed."""
    path = tmp_path / "results.json"
    path.write_text(json.dumps([figure.as_json() for figure in FIGURES]), encoding="utf-8")
    return path


def test_the_table_replaces_what_stood_between_the_markers(tmp_path, results):
    """What stands before and after the markers stays, and a second run changes nothing more."""
    target = tmp_path / "page.md"
    target.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", encoding="utf-8")
    page.main(page=target, results=results)
    first = target.read_text(encoding="utf-8")
    page.main(page=target, results=results)
    assert first == target.read_text(encoding="utf-8")
    assert first.startswith(f"before\n{page.BEGIN}\n### demo\n\nMeasured ")
    assert first.endswith(f"{page.END}\nafter\n")
    assert "old" not in first


def test_a_group_that_was_not_measured_keeps_its_table(tmp_path, results):
    """One group can be measured again alone, on another day or machine."""
    target = tmp_path / "page.md"
    target.write_text(
        f"{page.BEGIN}\n### vault\n\nMeasured once\n\n| old |\n\n### tags\n\nMeasured then\n\n| kept |\n{page.END}",
        encoding="utf-8",
    )
    page.main(page=target, results=results)
    text = target.read_text(encoding="utf-8")
    assert "### tags\n\nMeasured then\n\n| kept |\n" in text
    assert "| old |" not in text
    assert text.index("### vault") < text.index("| vault | seal |") < text.index("### tags") < text.index("### demo")


def test_each_figure_is_a_row(tmp_path, results):
    """Numbers are shown short, a missed target stands out, and a bar in a name does not break the table."""
    target = tmp_path / "page.md"
    target.write_text(f"{page.BEGIN}{page.END}", encoding="utf-8")
    page.main(page=target, results=results)
    lines = target.read_text(encoding="utf-8").splitlines()
    assert "| demo | wall | 12.5 | s | a/b | 2.5 | 5 | value ≤ 90 | yes |" in lines
    assert "| vault | seal | 1 | values/s | bare | 10 | 0.1 | ratio ≥ 0.4 | **no** |" in lines


def test_a_page_without_markers_is_left_alone(tmp_path, results):
    """Nothing is written where the place is not marked."""
    target = tmp_path / "page.md"
    target.write_text("a page\n", encoding="utf-8")
    with pytest.raises(ValueError, match="markers"):
        page.main(page=target, results=results)
    assert target.read_text(encoding="utf-8") == "a page\n"


def test_the_projects_page_has_its_markers():
    """The page that is shipped can take the figures."""
    text = page.PAGE.read_text(encoding="utf-8")
    assert text.index(page.BEGIN) < text.index(page.END)
