"""Every named transform: what passes, what becomes coarse, what is dropped and why."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.cells import BodyMeasure, Drop, Params, Setting
from deid.quantities import bin_label, body_mass_bin
from deid.transforms import TRANSFORMS
from kernel.clock import age_in_years

AS_OF = date(2026, 11, 21)
EDGES = (Decimal(90), Decimal("120.5"), Decimal(140))


class _Tokens:
    def pseudonyms(self, subjects, *, scope):
        raise NotImplementedError

    def token(self, value, *, scope):
        return f"{scope}/{len(value)}"


@pytest.fixture(scope="module")
def setting(special):
    return Setting(AS_OF, ZoneInfo("Asia/Shanghai"), "scope", _Tokens(), lambda text: text.replace("9", "#"), special)


@pytest.fixture
def apply(setting):
    return lambda name, raw, params=None: TRANSFORMS[name].apply(raw, params or Params(), setting)


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("age_band", "1990-11-22", "35-39"),
        ("age_band", "1990-11-21", "35-39"),
        ("age_band", "1986-11-21", "40-44"),
        ("age_band", "1986-11-22", "35-39"),
        ("age_band", "2026-11-21", "0-4"),
        ("age_band", "1936-11-22", "85-89"),
        ("age_band", "1936-11-21", "90+"),
        ("age_band", "1890-01-01", "90+"),
        ("age_band", "2026-11-22", Drop.FUTURE),
        ("age_band", "1990-02-30", Drop.MALFORMED),
        ("age_band", "2026-W01-1", Drop.MALFORMED),
        ("age_band", 1990, Drop.MALFORMED),
        ("year", "1990-01-31", "1990"),
        ("year", "bad", Drop.MALFORMED),
        ("year_90", "1936-11-21", "90+"),
        ("year_90", "1936-11-22", "1936"),
        ("year_90", None, Drop.MALFORMED),
        ("month", "2026-10-31T16:30:00+00:00", "2026-11"),
        ("month", "2026-11-21T16:30:00+00:00", Drop.FUTURE),
        ("month", "2026-11-21T16:30:00", Drop.MALFORMED),
        ("month", "0001-01-01T00:00:00+14:00", Drop.MALFORMED),
        ("day", "2026-11-20T16:00:00Z", date(2026, 11, 21)),
        ("hour", "2026-11-20T16:00:00Z", 0),
        ("hour", "2026-11-20", Drop.MALFORMED),
        ("minute", "2026-11-20T16:59:59.9Z", datetime(2026, 11, 20, 16, 59, tzinfo=UTC)),
        ("minute", "2026-13-20T16:59:59Z", Drop.MALFORMED),
    ],
)
def test_times_become_coarse(apply, name, raw, expected):
    """Natural days are those of the zone, the future is dropped, whoever is 90 is in one class."""
    assert apply(name, raw) == expected


@given(st.dates(min_value=date(1900, 1, 1), max_value=AS_OF))
def test_age_band_holds_the_age(setting, birth_date):
    """The band of every birth date holds the age on the day."""
    band = TRANSFORMS["age_band"].apply(birth_date.isoformat(), Params(), setting)
    age = age_in_years(birth_date, AS_OF)
    low, _, high = str(band).rstrip("+").partition("-")
    assert int(low) <= age <= int(high or 200)


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("icd10_group", "icd10:E11.9", "E11"),
        ("icd10_group", "icd10:E11.900x001", "E11"),
        ("icd10_group", "icd10:H36.0*", "H36"),
        ("icd10_group", "icd10:I10", "I10"),
        ("icd10_group", "icd10:B20", Drop.SPECIAL),
        ("icd10_group", "icd10:B20.900x001", Drop.SPECIAL),
        ("icd10_group", "icd10:C34.9", Drop.SPECIAL),
        ("icd10_group", "icd10:F32", Drop.SPECIAL),
        ("icd10_group", "icd10:A51.0", Drop.SPECIAL),
        ("icd10_group", "icd10:M81400/3", Drop.MALFORMED),
        ("icd10_group", "icd10:e11", Drop.MALFORMED),
        ("icd10_group", "icd10:", Drop.MALFORMED),
        ("icd10_group", "snomed:44054006", Drop.UNMAPPED),
        ("icd10_group", "E11", Drop.MALFORMED),
        ("icd10_group", 11, Drop.MALFORMED),
        ("atc_level3", "atc:C09AA05", "C09A"),
        ("atc_level3", "atc:C09A", "C09A"),
        ("atc_level3", "atc:C09", Drop.MALFORMED),
        ("atc_level3", "atc:N05AH03", Drop.SPECIAL),
        ("atc_level3", "rxnorm:316049", Drop.UNMAPPED),
        ("province", "110105", "110000"),
        ("province", "990105", Drop.UNMAPPED),
        ("province", "1101", Drop.MALFORMED),
        ("province", "１１0105", Drop.MALFORMED),
        ("region", "440305", "4"),
        ("region", "北京市", Drop.MALFORMED),
    ],
)
def test_codes_become_coarse(apply, name, raw, expected):
    """Groups only; special diseases, other systems and what is no code are dropped by their reason."""
    assert apply(name, raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("atc:J01CA04", "penicillin"),
        ("atc:J01C", "penicillin"),
        ("atc:J01CR02", "combination"),
        ("snomed:91936005", "penicillin"),
        ("snomed:919360051", Drop.UNMAPPED),
        ("local:dust", Drop.UNMAPPED),
        ("penicillin", Drop.MALFORMED),
    ],
)
def test_group_is_that_of_the_longest_beginning(apply, raw, expected):
    """ATC codes belong by their beginning, all others by the whole code."""
    groups = {"atc:J01C": "penicillin", "atc:J01CR": "combination", "snomed:91936005": "penicillin"}
    assert apply("group", raw, Params(groups=groups)) == expected


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ({"code": "a", "value": "89.9", "unit": "u"}, "<90"),
        ({"code": "a", "value": "90", "unit": "u"}, "90-<120.5"),
        ({"code": "b", "value": "120.5", "unit": "u"}, "120.5-<140"),
        ({"code": "a", "value": "140", "unit": "u", "flag": "H"}, ">=140"),
        ({"code": "a", "value": "14", "unit": "ten"}, ">=140"),
        ({"code": "c", "value": "90", "unit": "u"}, Drop.ELSEWHERE),
        ({"code": "a", "value": "90", "unit": "x"}, Drop.UNKNOWN_UNIT),
        ({"code": "a", "value": "90"}, Drop.UNKNOWN_UNIT),
        ({"code": "a", "value": "-1", "unit": "u"}, Drop.NOT_ALLOWED),
        ({"code": "a", "value": "NaN", "unit": "u"}, Drop.MALFORMED),
        ({"code": "a", "value": True, "unit": "u"}, Drop.MALFORMED),
        ("90", Drop.MALFORMED),
    ],
)
def test_quantity_falls_into_a_half_open_bin(apply, quantity, expected):
    """The lower edge belongs to the bin, units are converted, what is not understood is dropped."""
    params = Params(codes=frozenset("ab"), units={"u": Decimal(1), "ten": Decimal(10)}, edges=EDGES)
    assert apply("bin", quantity, params) == expected


@given(st.decimals(min_value=-1000, max_value=1000, places=2))
def test_every_number_lies_in_its_bin(value):
    """A label's edges enclose the number that it was made of."""
    label = bin_label(value, EDGES)
    if label.startswith("<"):
        assert value < Decimal(label[1:])
    elif label.startswith(">="):
        assert value >= Decimal(label[2:])
    else:
        low, _, high = label.partition("-<")
        assert Decimal(low) <= value < Decimal(high)


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("band", 100, "90-<120.5"),
        ("band", "1e2", Drop.MALFORMED),
        ("money", "19.905", Decimal("19.90")),
        ("money", "19.915", Decimal("19.92")),
        ("money", 7, Decimal("7.00")),
        ("money", "9999999999.999", Drop.NOT_ALLOWED),
        ("money", "１９", Drop.MALFORMED),
        ("money", "-5", Drop.NOT_ALLOWED),
        ("minutes", 0, 0),
        ("minutes", 60, 1),
        ("minutes", 61, 2),
        ("minutes", 301, 6),
        ("minutes", "1.5", Drop.MALFORMED),
        ("minutes", -1, Drop.NOT_ALLOWED),
    ],
)
def test_numbers_become_coarse(apply, name, raw, expected):
    """Cents are half to even, minutes are begun ones, so that more than five minutes is six."""
    assert apply(name, raw, Params(edges=EDGES)) == expected


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ({"code": "loinc:8302-2", "value": "180", "unit": "cm"}, BodyMeasure("height", Decimal("1.80"))),
        ({"code": "loinc:29463-7", "value": "80", "unit": "kg"}, BodyMeasure("weight", Decimal(80))),
        ({"code": "loinc:39156-5", "value": "24.7", "unit": "kg/m2"}, BodyMeasure("index", Decimal("24.7"))),
        ({"code": "loinc:8302-2", "value": "0", "unit": "cm"}, Drop.NOT_ALLOWED),
        ({"code": "loinc:8302-2", "value": "180", "unit": "kg"}, Drop.UNKNOWN_UNIT),
        ({"code": "loinc:8480-6", "value": "120", "unit": "mm[Hg]"}, Drop.ELSEWHERE),
        (180, Drop.MALFORMED),
    ],
)
def test_body_measures_are_recognised(apply, quantity, expected):
    """Height, weight and index by their LOINC codes, in metres and kilograms."""
    assert apply("body", quantity) == expected


def _measures(*pairs):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [(start + timedelta(days=n), BodyMeasure(kind, Decimal(value))) for n, (kind, value) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("height", "2"), ("weight", "80")], "<24"),
        ([("weight", "80"), ("height", "2")], "<24"),
        ([("height", "2"), ("weight", "80"), ("weight", "100")], ">=24"),
        ([("height", "2"), ("weight", "80"), ("index", "30")], ">=24"),
        ([("index", "30"), ("height", "2"), ("weight", "80")], "<24"),
        ([("weight", "80")], None),
        ([("height", "2")], None),
        ([], None),
    ],
)
def test_body_mass_is_the_latest_that_can_be_known(pairs, expected):
    """Measured, or of a weight and the height that stood then; a weight alone says nothing."""
    assert body_mass_bin(_measures(*pairs), (Decimal(24),)) == expected


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("keep", " 黄金会员 ", "黄金会员"),
        ("keep", "", Drop.NOT_ALLOWED),
        ("keep", "x" * 41, Drop.NOT_ALLOWED),
        ("keep", "a\u200bb", Drop.NOT_ALLOWED),
        ("keep", "call 999", Drop.IDENTIFIER),
        ("keep", True, True),
        ("keep", 12, 12),
        ("keep", -1, Drop.NOT_ALLOWED),
        ("keep", 2**31, Drop.NOT_ALLOWED),
        ("keep", None, Drop.MALFORMED),
        ("keep", {"a": 1}, Drop.MALFORMED),
        ("department", "心内科", "心内科"),
        ("department", "精神科", Drop.SPECIAL),
        ("department", "乙肝门诊", Drop.SPECIAL),
        ("department", None, Drop.MALFORMED),
        ("topic", "养生食谱", "养生食谱"),
        ("topic", "抑郁自测", Drop.SPECIAL),
        ("topic", "9", Drop.IDENTIFIER),
        ("redact", "住9号楼，头晕", "住#号楼，头晕"),
        ("redact", "查出梅毒", Drop.SPECIAL),
        ("redact", 9, Drop.MALFORMED),
        ("token", "张医生", "scope/3"),
        ("token", "", Drop.MALFORMED),
        ("has", "anything", True),
        ("count", "anything", 1),
        ("drop", "anything", Drop.NOT_ALLOWED),
    ],
)
def test_words_pass_only_as_names_or_redacted(apply, name, raw, expected):
    """Open lists let short names without identifiers pass; what speaks of a special disease never does."""
    result = apply(name, raw)
    assert result == expected
    assert type(result) is type(expected)


def test_closed_list_lets_nothing_else_pass(apply):
    """A value outside the field's list is dropped, however harmless it looks."""
    params = Params(allowed=frozenset({"female", "male"}))
    assert apply("keep", "female", params) == "female"
    assert apply("keep", "Female", params) is Drop.NOT_ALLOWED
