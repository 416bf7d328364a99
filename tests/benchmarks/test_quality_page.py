"""docs/reference/deid-quality.md: tables of one run."""

from benchmarks import quality_page
from benchmarks.figures import Bound, Figure, Target
from benchmarks.planted_kinds import HARD, PLANTS

FIGURES = [
    Figure("text", "recall", 0.5, "share", "planted", 10, Target(Bound.AT_LEAST, 0.9)),
    Figure("text", "speed", 2_000_000, "characters/s"),
]


def test_the_page_holds_figures_planted_kinds_and_corpora(tmp_path, monkeypatch):
    """Each kind and each corpus that is there; the machine and the commit; a target that is missed shows."""
    rows = ["张\tB-PER.NAM", "伟\tI-PER.NAM", "说\tO"]
    (tmp_path / "weibo2_dev.conll").write_text("\n".join(rows) + "\n", "utf-8")
    monkeypatch.setenv("CONSENTRY_OUTSIDE_DATA", str(tmp_path))
    page = tmp_path / "page.md"
    quality_page.write(FIGURES, page, trials=2)
    text = page.read_text("utf-8")
    assert "| recall | 0.5 | share | planted | 10 | value ≥ 0.9 | **no** |" in text
    assert all(f"| {name} |" in text for name in (*PLANTS, *HARD))
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Figures",
        "## Planted identifiers",
        "## What only looks like an identifier",
        "## Chinese social text, Weibo",
    ]
    assert "| PER.NAM | 1 |" in text
    assert "at commit " in text
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_without_outside_data_the_page_stays(tmp_path, monkeypatch):
    """Half of its figures would be gone."""
    monkeypatch.delenv("CONSENTRY_OUTSIDE_DATA", raising=False)
    quality_page.write(FIGURES, tmp_path / "page.md")
    assert list(tmp_path.iterdir()) == []
