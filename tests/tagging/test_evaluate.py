"""All tags of all subjects: one row each, unknown stays unknown, and what must not count does not."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernel.errors import BadInput
from tagging.errors import InputRefused
from tagging.evaluate import evaluate
from tagging.portrait import compute
from tagging.reference import Facts


@pytest.fixture
def one_tag(taxonomy_of, tag_yaml):
    """Load a taxonomy of one tag."""
    return lambda rule, type_="bool", **more: taxonomy_of(tag_yaml("one", rule, type_, **more))


def test_columns_are_the_tags_in_order(medical_taxonomy, views, as_of):
    """The table has the pseudonym and one typed column a tag."""
    subjects, events = views([{"pseudonym": "p1"}])
    table = evaluate(medical_taxonomy, subjects=subjects, events=events, as_of=as_of)
    assert table.column_names == ["pseudonym", *(tag.code for tag in medical_taxonomy.tags)]
    types = {"bool": pa.bool_(), "enum": pa.string(), "number": pa.decimal128(18, 4)}
    assert [table[tag.code].type for tag in medical_taxonomy.tags] == [types[tag.type] for tag in medical_taxonomy.tags]


def test_subject_without_data_is_unknown_and_not_false(medical_taxonomy, views, as_of):
    """For somebody of whom nothing is known, the tags about health say so."""
    subjects, events = views([{"pseudonym": "p1"}])
    (row,) = evaluate(medical_taxonomy, subjects=subjects, events=events, as_of=as_of).to_pylist()
    for code in (
        "age_group",
        "chronic_disease",
        "reproductive_stage",
        "need_level",
        "pressure_out_of_range",
        "churn_risk",
    ):
        assert row[code] is None, code


def test_no_subjects_give_no_rows(medical_taxonomy, views, as_of):
    """An empty view gives an empty table with its columns."""
    subjects, events = views([])
    table = evaluate(medical_taxonomy, subjects=subjects, events=events, as_of=as_of)
    assert table.num_rows == 0
    assert table.num_columns == 13


def test_rows_are_sorted_by_pseudonym(one_tag, views, as_of):
    """The order of the view's rows does not show in the result."""
    subjects, events = views([{"pseudonym": name} for name in ("c", "a", "b")])
    table = evaluate(one_tag("TRUE"), subjects=subjects, events=events, as_of=as_of)
    assert table["pseudonym"].to_pylist() == ["a", "b", "c"]


def test_withheld_subject_is_left_out(one_tag, views, as_of):
    """A pseudonym whose consent ended after the view was built has no row."""
    subjects, events = views([{"pseudonym": name} for name in ("a", "b'c", "d")])
    table = evaluate(one_tag("TRUE"), subjects=subjects, events=events, as_of=as_of, withheld={"b'c", "x"})
    assert table["pseudonym"].to_pylist() == ["a", "d"]


def test_events_after_as_of_and_of_strangers_do_not_count(one_tag, views, event, as_of):
    """Tomorrow has not happened, and events of pseudonyms outside the subject view make no rows."""
    happened = [event("a", "login", as_of + timedelta(days=1)), event("z", "login", as_of), event("a", "login", as_of)]
    subjects, events = views([{"pseudonym": "a"}], happened)
    table = evaluate(one_tag("ev_count(TRUE, 30)", "number"), subjects=subjects, events=events, as_of=as_of)
    assert table.to_pylist() == [{"pseudonym": "a", "one": Decimal(1)}]


@pytest.mark.parametrize(
    ("as_of", "expected"), [(date(2028, 2, 29), 1), (date(2028, 3, 1), 2), (date(2028, 3, 2), 1), (date(2028, 3, 3), 0)]
)
def test_window_of_days_runs_over_the_leap_day(one_tag, views, event, as_of, expected):
    """A window of two days holds the as_of day and the day before it, the 29th of February included."""
    happened = [event("a", "login", date(2028, 2, 29), 23), event("a", "login", date(2028, 3, 1), 0)]
    subjects, events = views([{"pseudonym": "a"}], happened)
    table = evaluate(one_tag("ev_count(TRUE, 2)", "number"), subjects=subjects, events=events, as_of=as_of)
    assert table["one"].to_pylist() == [Decimal(expected)]


def test_instant_is_no_day(one_tag, views):
    """as_of is a natural day; an instant would bring a time zone in."""
    subjects, events = views([{"pseudonym": "a"}])
    with pytest.raises(BadInput, match="as_of must be a day"):
        evaluate(one_tag("TRUE"), subjects=subjects, events=events, as_of=datetime(2026, 11, 21, tzinfo=UTC))


@pytest.mark.parametrize("wrong", [{"day": date(2026, 11, 20)}, {"hour": 16}, {"day": None}])
def test_event_whose_day_or_hour_is_not_of_shanghai_is_refused(one_tag, views, event, as_of, wrong):
    """A view whose midnight is that of another zone, such as UTC, would move every window."""
    subjects, events = views([{"pseudonym": "a"}], [event("a", "login", as_of, 0) | wrong])
    with pytest.raises(InputRefused, match="1 events whose day or hour is not that of Asia/Shanghai"):
        evaluate(one_tag("TRUE"), subjects=subjects, events=events, as_of=as_of)


def test_instants_without_a_zone_are_read_as_utc(one_tag, views, event, as_of):
    """The event view's time is UTC, whether its type says so or not."""
    subjects, events = views([{"pseudonym": "a"}], [event("a", "login", as_of, 0)])
    table = pq.read_table(events)
    naive = table["at"].cast(pa.timestamp("us"))
    pq.write_table(table.set_column(table.column_names.index("at"), "at", naive), events)
    table = evaluate(one_tag("ev_count(at_hours(22, 6), 1) = 1"), subjects=subjects, events=events, as_of=as_of)
    assert table["one"].to_pylist() == [True]


def test_subject_twice_in_the_view_is_refused(one_tag, views, as_of):
    """One subject has one row."""
    subjects, events = views([{"pseudonym": "a"}, {"pseudonym": "a"}])
    with pytest.raises(InputRefused, match="not one row"):
        evaluate(one_tag("TRUE"), subjects=subjects, events=events, as_of=as_of)


def test_file_that_is_no_view_is_refused(one_tag, views, as_of):
    """Subjects and events in each other's place are noticed."""
    subjects, events = views([{"pseudonym": "a"}])
    with pytest.raises(InputRefused, match="columns that the view does not have"):
        evaluate(one_tag("TRUE"), subjects=events, events=subjects, as_of=as_of)


def test_tag_is_computed_from_other_tags(taxonomy_of, tag_yaml, views, as_of):
    """References run through several layers, whatever the order of the file."""
    taxonomy = taxonomy_of(
        tag_yaml("last", "tag('middle') AND NOT tag('first')"),
        tag_yaml("middle", "tag('first') OR sex = 'male'"),
        tag_yaml("first", "sex = 'female'"),
    )
    subjects, events = views(
        [{"pseudonym": "f", "sex": "female"}, {"pseudonym": "m", "sex": "male"}, {"pseudonym": "u"}]
    )
    table = evaluate(taxonomy, subjects=subjects, events=events, as_of=as_of)
    assert table["last"].to_pylist() == [False, True, None]


def test_medical_tags_agree_with_the_reference_on_a_crowd(medical_taxonomy, views, event, as_of):
    """The whole medical taxonomy gives 200 made-up people the same values in both evaluators."""
    chance = random.Random(7)
    people = [made_person(chance, f"p{number:03}") for number in range(200)]
    happened = [made_event(chance, event, as_of, people) for _ in range(3000)]
    subjects, events = views(people, happened)
    table = evaluate(medical_taxonomy, subjects=subjects, events=events, as_of=as_of)
    for person, row in zip(people, table.to_pylist(), strict=True):
        own = [one for one in happened if one["pseudonym"] == person["pseudonym"]]
        assert row == {"pseudonym": person["pseudonym"], **compute(medical_taxonomy, Facts(person, own, as_of))}
    for tag in medical_taxonomy.tags:
        assert len(set(table[tag.code].to_pylist())) > 1, f"{tag.code} is the same for everybody"


def made_person(chance: random.Random, pseudonym: str) -> dict[str, object]:
    def one(*values):
        return chance.choice([None, *values])

    groups = one([], ["I10"], ["E11", "J06"], ["I10", "E11"], ["J45"], ["J06"])
    return {
        "pseudonym": pseudonym,
        "age_band": one("5-9", "30-34", "40-44", "90+"),
        "sex": one("female", "male"),
        "diagnosis_groups": groups,
        "reproductive_state": one("none", "pregnant"),
        "systolic_bin": one("<90", "120-<130", "140-<160"),
        "diastolic_bin": one("60-<80", "90-<100"),
    }


def made_event(chance: random.Random, event, as_of: date, people) -> dict[str, object]:
    kinds = ["login", "consult_started", "consult_finished", "search", "purchase", "share", "invite"]
    kinds += ["reminder_kept", "reminder_missed", "page_view"]
    return event(
        chance.choice(people)["pseudonym"],
        chance.choice(kinds),
        as_of - timedelta(days=chance.choice([-1, *range(0, 70, 3), 300, 364, 365, 366])),
        chance.choice([0, 5, 6, 12, 21, 22, 23]),
        format=chance.choice([None, "text", "video", "phone"]),
        amount=chance.choice([None, Decimal("0.00"), Decimal("99.90"), Decimal("2000.00")]),
        status=chance.choice([None, "paid", "refunded"]),
    )
