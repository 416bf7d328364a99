"""Each group runs at a small size, so that a benchmark does not break unseen; its times are nobody's business here."""

import pytest

from benchmarks import (
    audit_proving,
    audit_queries,
    audit_writing,
    consent,
    own_text,
    tags,
    text,
    text_quality,
    vault,
    vault_bulk,
    vault_reveals,
    vault_values,
    views,
)
from benchmarks.complaints import write_complaints
from benchmarks.deployment import new_deployment
from benchmarks.outside import Dialogue
from benchmarks.outside_dialogue import measured


@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")  # the PostgreSQL package looks for it when it is imported
@pytest.mark.parametrize(
    ("group", "figures"),
    [
        ("audit", lambda: audit_writing.run(each=2, rounds=1)),
        ("audit", lambda: audit_proving.run(entries=300, beside=60, starts=1)),
        ("audit", lambda: audit_queries.run(entries=2_000, lookups=10)),
        ("consent", lambda: consent.run(subjects=40)),
        ("tags", lambda: tags.run(subjects=300, events=6_000)),
        ("text", lambda: text.run(most=40, length=500, starts=False)),
        ("text", lambda: text_quality.run(trials=2)),
        ("text", lambda: own_text.run(trials=2)),
        ("vault", lambda: vault.run(records=100)),
        ("vault", lambda: vault_values.run(rows=10, cohort=30, postgresql=False)),
        ("vault", lambda: vault_bulk.run(values=16_000, widths=(4,), postgresql=False)),
        ("vault", lambda: vault_reveals.run(each=1, everywhere=False)),
        ("views", lambda: views.run(people=60)),
    ],
)
def test_a_group_measures_itself_beside_its_yardsticks(group, figures, monkeypatch):
    """Every figure belongs to its group, and most have a yardstick."""
    monkeypatch.delenv("CONSENTRY_OUTSIDE_DATA", raising=False)
    made = figures()
    assert {figure.group for figure in made} == {group}
    assert all(figure.value > 0 for figure in made)
    assert any(figure.ratio for figure in made)


def test_a_tag_that_differs_from_the_sql_by_hand_is_no_figure(tmp_path, monkeypatch):
    """Speed is only compared where both give the same tags."""
    wrong = tmp_path / "wrong.sql"
    wrong.write_text(tags.SQL.read_text(encoding="utf-8").replace("'senior'", "'old'"), encoding="utf-8")
    monkeypatch.setattr(tags, "SQL", wrong)
    with pytest.raises(AssertionError):
        tags.run(subjects=100, events=500)


DIALOGUES = [Dialogue("心血管科", f"标题{n}", f"第{n}次头晕，血压偏高怎么办", f"建议第{n}次复查") for n in range(12)]


def test_the_dialogues_leave_no_planted_identifier(tmp_path):
    """Twelve complaints of our own through the same path as the outside ones."""
    figures = {figure.name: figure for figure in measured(DIALOGUES, tmp_path)}
    left = [figure for name, figure in figures.items() if "planted" in name and "marks" not in name]
    assert len(left) == 3
    assert all(figure.met and figure.yardstick_value == 2 for figure in left)


def test_the_same_seed_plants_the_same(tmp_path):
    """A finding can be looked at again."""
    with new_deployment(tmp_path / "home") as platform:
        now = platform.clock.now()
        made = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            made.append(write_complaints(DIALOGUES, tmp_path / name, platform.catalogue, now=now).values)
    assert made[0] == made[1]
