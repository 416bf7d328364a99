"""View definitions: what the pack ships, and what a definition can never say."""

import re

import pytest

from deid.views import Shape, load_views
from kernel.errors import NotFound
from kernel.located_yaml import PackError

PROFILE = "views/subject_profile.yaml"
EVENTS = "views/event_rows.yaml"


def test_shipped_views_have_the_agreed_columns(views):
    """Tags and exports name these columns; none may be renamed or reordered."""
    assert views["subject_profile"].column_names == (
        "pseudonym", "age_band", "sex", "province", "diagnosis_groups", "medication_groups", "allergy_classes",
        "reproductive_state", "systolic_bin", "diastolic_bin", "glucose_bin", "bmi_bin", "complaint",
        "last_visit_month", "membership",
    )  # fmt: skip
    assert views["event_rows"].column_names == (
        "pseudonym", "event_type", "at", "day", "hour", "department", "topic", "format", "minutes", "questions",
        "amount", "status",
    )  # fmt: skip


def test_shipped_views_share_one_scope_and_purpose(views):
    """The tags join both views by the pseudonym, under profiling."""
    assert {(view.scope, view.purpose) for view in views.values()} == {("profiling", "P07")}


def test_health_linked_to_a_person_is_level_four(views):
    """R54: no field of event_rows is above level 3, the linked row is."""
    assert views["event_rows"].level == 4
    assert views["subject_profile"].level == 4


def test_view_names_fields_and_kinds_to_open(views, medical):
    """What the vault is asked for are catalogue fields; the record's instant is none of them."""
    for view in views.values():
        assert view.fields <= set(medical.fields)
    assert views["event_rows"].kinds == {"order", "event", "encounter"}
    assert views["subject_profile"].kinds is None
    assert views["subject_profile"].fields_of(["age_band", "sex"]) == {"birth_date", "sex"}


def test_unknown_column_is_not_found(views):
    """Asking for a column that a view does not have is an error, not an empty answer."""
    with pytest.raises(NotFound, match="no column 'name'"):
        views["subject_profile"].get_column("name")


def test_no_shipped_view_reads_what_names_a_person_or_is_special(views, medical):
    """Every field of every view is neither a direct identifier nor of level 5."""
    for view in views.values():
        fields = [medical.fields[code] for code in view.fields]
        assert not [field.code for field in fields if field.is_direct or field.level == 5]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{sex: keep}", "{name: keep}", "'keep' would pass the direct identifier name"),
        ("{sex: keep}", "{mobile: keep}", "'keep' would pass the direct identifier mobile"),
        ("{sex: keep}", "{mobile: token}", "P07 may not use mobile"),
        ("{sex: keep}", "{special_disease: icd10_group}", "special_disease is of level 5"),
        ("{sex: keep}", "{ethnicity: keep}", "the catalogue drops ethnicity"),
        ("{sex: keep}", "{sex: drop}", "sex would be dropped"),
        ("{sex: keep}", "{shoe_size: keep}", "unknown field 'shoe_size'"),
        ("{sex: keep}", "{sex: rot13}", "unknown value 'rot13'"),
        ("{sex: keep}", "{chief_complaint: keep}", "'keep' cannot read chief_complaint of type text"),
        ("{sex: keep}", "{birth_date: year}", "'year' would pass the date birth_date"),
        ("{sex: keep}", "{district: keep}", "'keep' would pass the place district below its province"),
        ("{sex: keep}", "{}", "no field"),
        ("{sex: keep}", "{sex: keep, shares: keep}", "gathers cells of different types"),
        ("from: {sex: keep}", "from: {sex: keep}\n    take: bmi", "'keep' gives no cells for 'bmi'"),
        ("from: {sex: keep}", "from: {sex: keep}\n    edges: [1]", "no transform of this column reads 'edges'"),
        ("from: {sex: keep}", "from: {sex: keep}\n    colour: red", "unknown key 'colour'"),
        ("name: sex", "name: age_band", "the column 'age_band' again"),
        ("name: sex", "name: pseudonym", "the column 'pseudonym' again"),
        ("name: sex", "name: Sex", "'Sex' is no code"),
        ("edges: [90, 120, 130, 140, 160, 180]", "edges: [90, 90]", "the edges do not ascend"),
        ("edges: [90, 120, 130, 140, 160, 180]", "edges: []", "the edges do not ascend"),
        ("edges: [90, 120, 130, 140, 160, 180]", "edges: [ninety]", "'ninety' is no decimal"),
        ("    edges: [90, 120, 130, 140, 160, 180]\n", "", "'edges' is missing"),
        ('units: {"mm[Hg]": 1, kPa: "7.50062"}', 'units: {"mm[Hg]": 0}', "no unit, or a factor that is not positive"),
        ("latex: [", "latex: [local:mould, ", "is in two groups or names no system"),
        ("latex: [", "latex: [rubber, ", "is in two groups or names no system"),
        ("purpose: P07", "purpose: P99", "unknown value 'P99'"),
        ("shape: subject", "shape: subject\nrows: [{kind: order}]", "a subject view with rows"),
        ("shape: subject", "shape: events", "an event view without rows"),
        ("code: subject_profile", "code: event_rows", "the view 'event_rows' again"),
        ("shape: subject", "shape: [", "not valid YAML"),
    ],
)
def test_mistake_in_a_view_is_refused_with_its_place(edit, medical, old, new, message):
    """A definition that lets through what it must not, or that is unclear, does not load."""
    folder = edit(PROFILE, old, new)
    with pytest.raises(PackError, match=re.escape(message)) as caught:
        load_views(folder, medical)
    assert all(mistake.line >= 1 and mistake.file.endswith(".yaml") for mistake in caught.value.mistakes)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("event_type: purchase", "event_type: shopping", "unknown value 'shopping'"),
        ("event_type: purchase", "event_type: purchase\n    colour: red", "unknown key 'colour'"),
        ("  - name: event_type\n    from: {event_type: keep}\n", "", "an event view without event_type"),
        ("{observed_at: minute}", "{observed_at: keep}", "'keep' cannot read observed_at of type instant"),
    ],
)
def test_mistake_in_an_event_view_is_refused(edit, medical, old, new, message):
    """Event types are those of the pack that the purpose may use."""
    with pytest.raises(PackError, match=re.escape(message)):
        load_views(edit(EVENTS, old, new), medical)


def test_all_mistakes_are_reported_at_once(edit, medical):
    """One load names every mistake of every file."""
    edit(PROFILE, "{sex: keep}", "{name: keep}")
    folder = edit(EVENTS, "event_type: purchase", "event_type: shopping")
    with pytest.raises(PackError) as caught:
        load_views(folder, medical)
    assert {mistake.file.rsplit("/", 1)[1] for mistake in caught.value.mistakes} == {
        "event_rows.yaml",
        "subject_profile.yaml",
    }


def test_a_pack_without_special_diseases_has_no_views(pack_copy, medical):
    """The list has to be there, even empty: without it nothing is built."""
    (pack_copy / "special_diseases.yaml").unlink()
    with pytest.raises(PackError, match="cannot be read"):
        load_views(pack_copy, medical)


@pytest.mark.parametrize(
    "change",
    [
        (PROFILE, "edges: [60, 80, 90, 100, 110]", "edges: [60, 80, 90, 100, 120]"),
        (EVENTS, "{consult_length: keep, page_stay: minutes}", "{page_stay: minutes, consult_length: keep}"),
        ("special_diseases.yaml", "B20-B24", "B20-B23"),
    ],
)
def test_hash_changes_with_what_the_definition_means(edit, views, medical, change):
    """Edges, the order of sources and the special diseases are part of what a view is."""
    changed = load_views(edit(*change), medical)
    assert {view.hash for view in changed.values()} != {view.hash for view in views.values()}


def test_hash_does_not_change_with_comments(edit, views, medical):
    """A comment says nothing about the data."""
    same = load_views(edit(PROFILE, "shape: subject", "# a remark\nshape: subject"), medical)
    assert {view.hash for view in same.values()} == {view.hash for view in views.values()}


def test_free_text_and_sets_say_so(views):
    """Exports rely on these marks."""
    view = views["subject_profile"]
    assert [column.name for column in view.columns if column.is_free_text] == ["complaint"]
    assert [column.name for column in view.columns if column.is_quasi] == ["age_band", "sex", "province"]
    assert [column.name for column in view.columns if column.is_multi_valued] == [
        "diagnosis_groups",
        "medication_groups",
        "allergy_classes",
    ]
    assert view.shape is Shape.SUBJECT
