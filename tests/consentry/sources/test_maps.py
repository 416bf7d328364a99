"""MAP.yaml: what it may say, and how a mistake is reported."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from consentry.sources.events import load_event_map
from consentry.sources.maps import load_map
from kernel.located_yaml import PackError

HEAD = "source: his\nsubject: id\ntime: at\nrecords:\n  - kind: profile\n    columns:\n"


@pytest.fixture
def load(context, write):
    """Loads a map from its text."""
    return lambda text: load_map(write("map.yaml", text), context)


@pytest.mark.parametrize("name", ["hospital", "shop", "wearable"])
def test_example_maps_load(context, pack, name):
    """The maps that ship with the pack fit its catalogue."""
    assert load_map(pack / "maps" / f"{name}.yaml", context).records


def test_example_tracker_map_loads(context, pack):
    """The tracker's map fits the catalogue."""
    assert load_event_map(pack / "maps" / "tracker.yaml", context).types["ViewPage"] == "page_view"


def test_map_names_every_column_that_it_reads(load):
    """Subject, times, ids, units and metrics are columns too."""
    table = load(
        """
source: his
subject: id
time_zone: Asia/Urumqi
as_of: "2026-01-31"
empty: 无
ignore: [memo]
delimiter: ";"
records:
  - kind: profile
    record: no
    columns: {sex: sex}
  - kind: reading
    time: at
    columns:
      value: {field: reading, metric_column: what, metrics: {高压: "loinc:8480-6"}, unit_column: unit}
"""
    )
    assert table.columns == ("id", "no", "sex", "at", "value", "unit", "what")
    assert (table.as_of, table.zone, table.delimiter) == (date(2026, 1, 31), ZoneInfo("Asia/Urumqi"), ";")
    assert table.ignored == {"memo"}
    assert "无" in table.empty


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (HEAD + "      a: {field: nothing}\n", 7, "unknown field 'nothing'"),
        (HEAD + "      a: {field: sex, colour: red}\n", 7, "unknown key 'colour'"),
        (HEAD + "      a: height\n", 7, "type quantity"),
        (HEAD + "      a: {field: sex, code: 'loinc:8302-2'}\n", 7, "type string"),
        (HEAD + "      a: {field: height, code: 'height'}\n", 7, "no code"),
        (HEAD + "      a: {field: height, code: 'loinc:8302-2', unit: parsec}\n", 7, "unknown unit 'parsec'"),
        (HEAD + "      a: {field: vitals_lab, codes: ['loinc:8480-6']}\n", 7, "codes without split"),
        (HEAD + "      a: {field: sex, words: {x: neither}}\n", 7, "'neither' is no value of sex"),
        (HEAD + "      a: {field: diagnosis, words: {高血压: I10}}\n", 7, "no code"),
        (HEAD + "      a: {field: diagnosis, system: icd9}\n", 7, "unknown value 'icd9'"),
        (HEAD + "      {}\n", 6, "no column"),
        (HEAD.replace("profile", "event") + "      a: sex\n", 5, "unknown value 'event'"),
        (HEAD.replace("time: at\n", "") + "      a: sex\n", 4, "no time"),
        (HEAD + "      a: sex\nignore: [a]\n", 8, "'a' is read and ignored"),
        (HEAD + "      a: sex\ntime_zone: Mars/Olympus\n", 8, "unknown time zone"),
        (HEAD + "      a: sex\ndelimiter: ';;'\n", 8, "one character"),
        (HEAD + "      a: sex\nas_of: soon\n", 8, "no day"),
        ("source: his\nsubject: id\nrecords: []\n", 3, "no record"),
        ("source: his\n", 1, "'records' is missing"),
    ],
)
def test_mistake_is_reported_with_file_and_line(load, text, line, message):
    """Every mistake says where it stands and what was expected."""
    with pytest.raises(PackError) as error:
        load(text)
    assert f"map.yaml:{line}: " in error.value.message
    assert message in error.value.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("SignIn: login", "SignIn: log_in"), "unknown event type 'log_in'"),
        (("page_name: page", "page_name: pages"), "unknown field 'pages'"),
        (("source: app", "sauce: app"), "unknown key 'sauce'"),
    ],
)
def test_mistake_in_an_event_map_is_reported(context, pack, write, change, message):
    """A tracker's map is checked as well."""
    text = (pack / "maps" / "tracker.yaml").read_text(encoding="utf-8").replace(*change)
    with pytest.raises(PackError, match=message):
        load_event_map(write("map.yaml", text), context)
