"""Profiles: what ships, and what a wrong file is told."""

import pytest

from deid.text import MARKS, Kind, TextScrubber
from deid.text.deidentifier import Deidentifier
from deid.text.operators import Keep, KeyedTokeniser, Redact, Setting
from deid.text.own import OwnIdentifiers
from deid.text.profiles import KEPT, load_profile, profile_called, profile_names
from kernel.errors import BadInput, NotFound
from kernel.located_yaml import PackError

SETTING = Setting(
    scope="s",
    tokeniser=KeyedTokeniser(bytes(32)),
    shift_days=30,
    own=OwnIdentifiers(names=("王小明",), id_numbers=("110105199003077652",)),
)
TEXT = "王小明，1990年3月7日生，2026-03-05来过，手机13800138000，住杭州市西湖区文三路259号，老人92岁"


@pytest.fixture(scope="module")
def scrubber():
    return TextScrubber(budget_ms=60_000)


def test_profiles_that_ship():
    """Each can be read, and is told apart by what it needs."""
    needs = {name: sorted(profile_called(name).needs) for name in profile_names()}
    assert needs == {
        "analyst": ["shift_days", "tokeniser"],
        "mask": [],
        "pseudonymise": ["tokeniser"],
        "public": [],
        "redact": [],
        "surrogate": ["tokeniser"],
        "tagging": [],
    }


@pytest.mark.parametrize("name", profile_names())
def test_nothing_that_names_a_person_is_kept(name):
    """What stays under any profile names nobody by itself."""
    profile = profile_called(name)
    assert {kind for kind in Kind if isinstance(profile.operator_for(kind), Keep)} <= KEPT


def test_unknown_kind_and_what_could_not_be_judged_are_redacted():
    """The strictest, whatever the profile."""
    profile = profile_called("pseudonymise")
    assert isinstance(profile.operator_for("SHOE_SIZE"), Redact)
    assert isinstance(profile.operator_for(Kind.WITHHELD), Redact)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("redact", "〔姓名〕，〔日期〕生，〔日期〕来过，手机〔手机〕，住〔地址〕，老人〔年龄〕岁"),
        ("public", "〔姓名〕，1990年生，2026年来过，手机〔手机〕，住浙江省，老人90+岁"),
        ("tagging", "〔姓名〕，1990年生，2026-03-05来过，手机〔手机〕，住浙江省杭州市，老人92岁"),
        ("mask", "王**，1990年3月生，2026年3月来过，手机138****8000，住浙江省杭州市，老人90+岁"),
    ],
)
def test_text_under_a_profile(scrubber, name, expected):
    """The record's own birth date is not kept where other days are."""
    assert Deidentifier(profile_called(name), scrubber).apply(TEXT, SETTING).text == expected


def test_days_move_and_people_stay_apart(scrubber):
    """For analysts: the same token for the same person, intervals as they were."""
    left = Deidentifier(profile_called("analyst"), scrubber).apply(f"{TEXT}，王先生", SETTING).text
    assert "1990年4月6日生，2026-04-04来过" in left
    token = left[: left.index("，")]
    assert left.endswith(token)


def test_spans_tell_what_was_replaced(scrubber):
    """In offsets of the original; what is kept is not among them."""
    done = Deidentifier(profile_called("tagging"), scrubber).apply("2026-03-05来，手机13800138000")
    assert [(span.start, span.end, span.type) for span in done.spans] == [(14, 25, Kind.MOBILE)]


def test_setting_that_lacks_something_is_refused_before_reading(scrubber):
    """And says what it lacks."""
    with pytest.raises(BadInput, match="a tokeniser and a scope and days to move by"):
        Deidentifier(profile_called("analyst"), scrubber).apply(TEXT)


def test_text_that_cannot_be_judged_is_withheld():
    """Whatever the profile does with kinds."""
    late = TextScrubber(budget_ms=0, monotonic=iter(range(100)).__next__)
    done = Deidentifier(profile_called("mask"), late).apply(TEXT)
    assert done.text == MARKS[Kind.WITHHELD]


def test_thresholds_of_a_profile_reach_the_rules(tmp_path):
    """A score below the profile's threshold is no hit."""
    strict = write(tmp_path, "thresholds: {default: 0.95}\n")
    assert Deidentifier(strict).apply("加我微信wang_ming88").spans == ()
    loose = write(tmp_path, "thresholds: {default: 0.95, WECHAT: 0.5}\n")
    assert len(Deidentifier(loose).apply("加我微信wang_ming88").spans) == 1


def write(folder, rest, head="profile: own\naudience: me\ndescription: x\ndefault: redact\n"):
    """Read a profile with these lines."""
    path = folder / "own.yaml"
    path.write_text(head + rest, "utf-8")
    return load_profile(path)


WRONG = [
    ("kinds: {SHOE_SIZE: redact}\n", "unknown kind 'SHOE_SIZE'"),
    ("kinds: {MOBILE: shred}\n", "unknown value 'shred'"),
    ("kinds: {MOBILE: keep}\n", "never kept"),
    ("kinds: {WITHHELD: redact}\n", "redacted, always"),
    ("kinds: {MOBILE: shift}\n", "only days are moved"),
    ("kinds: {MOBILE: generalise}\n", "nothing wider"),
    ("kinds: {DATE: {operator: generalise, to: decade}}\n", "decade"),
    ("kinds: {DATE: {operator: generalise, years: 5}}\n", "only ages"),
    ("kinds: {AGE: {operator: generalise, to: year}}\n", "no such parameter"),
    ("kinds: {AGE: {operator: generalise, years: 1}}\n", "out of range"),
    ("kinds: {PERSON: {operator: pseudonymise, letters: 2}}\n", "out of range"),
    ("kinds: {PERSON: {operator: redact, letters: 5}}\n", "unknown key 'letters'"),
    ("kinds: {PERSON: {letters: 5}}\n", "'operator' is missing"),
    ("thresholds: {SHOE_SIZE: 0.5}\n", "unknown kind 'SHOE_SIZE'"),
    ("thresholds: {MOBILE: 0.99}\n", "out of range"),
    ("colour: red\n", "unknown key 'colour'"),
]


@pytest.mark.parametrize(("lines", "said"), WRONG, ids=[lines.strip() for lines, _ in WRONG])
def test_wrong_profile_is_told_with_its_line(tmp_path, lines, said):
    """Unknown kinds, operators and parameters, and what would leave too much."""
    with pytest.raises(PackError) as caught:
        write(tmp_path, lines)
    assert "own.yaml:5:" in str(caught.value)
    assert said in str(caught.value)


def test_default_never_keeps(tmp_path):
    """Nor does a profile lie under another's name."""
    with pytest.raises(PackError, match="never kept"):
        write(tmp_path, "", "profile: own\naudience: me\ndescription: x\ndefault: keep\n")
    with pytest.raises(PackError, match="not called like its file"):
        write(tmp_path, "", "profile: other\naudience: me\ndescription: x\ndefault: redact\n")
    with pytest.raises(NotFound, match="There is no profile"):
        profile_called("everything")


def test_parameters_of_operators_are_read(tmp_path):
    """Letters of tokens, years of bands, months of days."""
    profile = write(
        tmp_path, "kinds:\n  PERSON: {operator: pseudonymise, letters: 4}\n  DATE: {operator: generalise, to: month}\n"
    )
    done = Deidentifier(profile).apply("王小明2026年3月5日来", SETTING)
    assert done.text[: len("〔姓名·K7Q2〕")].count("·") == 1
    assert "2026年3月来" in done.text
    assert len(done.text) == len("〔姓名·K7Q2〕2026年3月来")
