"""Hierarchies: every value at every level, nothing guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.codes import PROVINCES
from deid.hierarchies import AGE_BAND, FLAT, HIERARCHIES, PROVINCE, hierarchy_of_rows
from kernel.errors import BadInput

BANDS = [*(f"{low}-{low + 4}" for low in range(0, 90, 5)), "90+"]


@pytest.mark.parametrize(
    ("band", "path"),
    [
        ("0-4", ("0-4", "0-9", "0-19", "*")),
        ("35-39", ("35-39", "30-39", "20-39", "*")),
        ("75-79", ("75-79", "70-79", "60-79", "*")),
        ("80-84", ("80-84", "80-89", "80+", "*")),
        ("90+", ("90+", "90+", "80+", "*")),
    ],
)
def test_age_band_grows_to_twenty_years(band, path):
    """Five, ten and twenty years, then nothing; the oldest share the last band."""
    assert AGE_BAND.generalised(band) == path


@pytest.mark.parametrize("value", ["", "36-40", "35-38", "90-94", "0-04", "-4-0", "100-104", "35-39 ", "35"])
def test_value_that_is_no_band_is_refused(value):
    """A value from elsewhere is not squeezed into a hierarchy."""
    with pytest.raises(BadInput, match="has no place"):
        AGE_BAND.generalised(value)


def test_province_grows_to_its_region():
    """GB/T 2260: the first digit is the region."""
    assert PROVINCE.generalised("440000") == ("440000", "4*****", "*")


@pytest.mark.parametrize("value", ["440100", "990000", "44", "广东"])
def test_value_that_is_no_province_is_refused(value):
    """A city's code would tell more than the hierarchy says."""
    with pytest.raises(BadInput, match="has no place"):
        PROVINCE.generalised(value)


def test_unknown_stays_unknown_until_nothing_is_told():
    """Null is a value like others, and joins them at the top only."""
    assert PROVINCE.generalised(None) == (None, None, "*")


@pytest.mark.parametrize(
    ("hierarchy", "domain"),
    [(AGE_BAND, BANDS), (PROVINCE, [f"{p}0000" for p in sorted(PROVINCES)]), (FLAT, ["a", "b"])],
)
def test_every_level_is_coarser_than_the_one_before(hierarchy, domain):
    """Values that are alike at one level are alike at every further one."""
    paths = [hierarchy.generalised(value) for value in domain]
    for level in range(1, len(hierarchy.levels)):
        merged = {(path[level - 1], path[level]) for path in paths}
        assert len(merged) == len({path[level - 1] for path in paths})


def test_hierarchy_can_be_bounded():
    """Beyond the bound a column would no longer serve the goal."""
    assert AGE_BAND.up_to("10-year").generalised("35-39") == ("35-39", "30-39")
    with pytest.raises(BadInput, match="has no level 'decade'"):
        AGE_BAND.up_to("decade")


def test_hierarchy_of_a_table_has_its_rows():
    """The form of ARX: a value, then its generalisations."""
    made = hierarchy_of_rows("work", [("private", "employed", "*"), ("none", "idle", "*")])
    assert made.generalised("none") == ("none", "idle", "*")
    with pytest.raises(BadInput, match="has no place"):
        made.generalised("retired")


@pytest.mark.parametrize("rows", [[], [("a", "*"), ("b",)], [("a", "*"), ("a", "*")]])
def test_table_that_is_none_is_refused(rows):
    """No rows, rows of different lengths, a value twice."""
    with pytest.raises(BadInput, match="is no table"):
        hierarchy_of_rows("broken", rows)


@given(st.text(max_size=8))
def test_any_text_is_placed_or_refused(text):
    """Whatever comes, a hierarchy answers with a whole path or refuses."""
    for hierarchy in HIERARCHIES.values():
        try:
            assert len(hierarchy.generalised(text)) == len(hierarchy.levels)
        except BadInput:
            assert hierarchy is not FLAT
