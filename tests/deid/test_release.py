"""The release gate: every way to fall short is found in the written file, and no value is told."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest

from deid.files import ColumnKind, file_sha256, write_csv, write_parquet
from deid.hierarchies import AGE_BAND, FLAT, PROVINCE
from deid.privacy import Anonymised, anonymise
from deid.release import (
    Finding,
    ReleasePolicy,
    ReleaseRefused,
    check_folder,
    check_release,
    policy_for,
    releasable,
)
from kernel.errors import BadInput

SETS = {"diagnosis_groups", "medication_groups", "allergy_classes"}


def _persons(definition, count=24):
    """People in two classes of twelve; the last one has a rare set of diagnoses."""
    half = count // 2
    columns = {
        "pseudonym": [f"px_{chr(97 + n)}{chr(122 - n)}{n:02d}" for n in range(count)],
        "age_band": ["35-39"] * half + ["60-64"] * half,
        "sex": ["female"] * half + ["male"] * half,
        "province": ["110000"] * count,
        "diagnosis_groups": [["I10"]] * (count - 1) + [["E11", "G47", "I10"]],
        "systolic_bin": ["140-<160", None] * half,
        "pressure_out_of_range": [True, None] * half,
    }
    schema = {
        name: pa.list_(pa.string()) if name in SETS else pa.string() for name in ("pseudonym", *definition.columns)
    } | dict.fromkeys(definition.tags, pa.string())
    schema["pressure_out_of_range"] = pa.bool_()
    return pa.table({name: pa.array(columns.get(name, [None] * count), kind) for name, kind in schema.items()})


@dataclass
class Release:
    """A written release and what it was made of."""

    folder: Path
    made: Anonymised
    policy: ReleasePolicy

    def rewrite(self, change: Callable[[pa.Table], pa.Table]) -> None:
        """Write both files again from a changed table."""
        table = change(self.made.table)
        write_csv(table, self.folder / "export.csv")
        write_parquet(table, self.folder / "export.parquet")

    def refusal(self, name: str) -> ReleaseRefused:
        """Return why a file is refused."""
        with pytest.raises(ReleaseRefused) as caught:
            check_release(self.folder / name, self.policy)
        return caught.value


@pytest.fixture
def release(partner, find, tmp_path) -> Release:
    """A release that passes."""
    folder = tmp_path / "release"
    folder.mkdir()
    made = anonymise(
        _persons(partner),
        quasi_identifiers=tuple(partner.hierarchies),
        hierarchies=partner.hierarchies,
        k=partner.k,
        suppression_limit=partner.suppression_limit,
    )
    done = Release(folder, made, policy_for(partner, made, find=find))
    done.rewrite(lambda table: table)
    return done


BOTH = pytest.mark.parametrize("name", ["export.csv", "export.parquet"])


def _with(name, values):
    def change(table):
        column = pa.array(values(table.column(name).to_pylist()), table.schema.field(name).type)
        return table.set_column(table.column_names.index(name), name, column)

    return change


def _first(value):
    return lambda values: [value, *values[1:]]


@BOTH
def test_fit_release_passes_and_is_measured(release, name):
    """k, risk, what was left out, and the grade that an outbound data set needs."""
    report = check_release(release.folder / name, release.policy)
    assert (report.persons, report.suppressed, report.risk.k, report.risk.classes) == (24, 0, 12, 2)
    assert report.risk.average == Fraction(1, 12)
    assert report.sha256 == file_sha256(release.folder / name)
    assert report.to_json()["grade"] == 3
    assert report.to_json()["highest_risk"] == "0.083333"


@BOTH
def test_report_says_what_k_does_not_cover(release, name):
    """Multi-valued columns are no quasi-identifiers; who stands out by one is counted."""
    report = check_release(release.folder / name, release.policy)
    assert set(report.multi_valued) == SETS
    assert report.alone["diagnosis_groups"] == 1
    assert report.alone["systolic_bin"] == 0
    assert "age_band" not in report.alone
    told = report.to_json()
    assert told["not_covered_by_k"]["diagnosis_groups"] == {"persons_alone": 1}
    assert set(told["multi_valued_not_covered_by_k"]) == SETS


@BOTH
@pytest.mark.parametrize("column", ["systolic_bin", "chronic_disease", "diagnosis_groups", "province"])
def test_planted_identifier_is_found(release, name, column):
    """In whatever text column it stands; the message does not repeat it."""
    planted = ["13812345678"] if column in SETS else "13812345678"
    release.rewrite(_with(column, _first(planted)))
    refused = release.refusal(name)
    assert Finding("an identifier", column, 1) in refused.findings
    assert "13812345678" not in refused.diagnostics()


@BOTH
@pytest.mark.parametrize("planted", ["13812345678", "11010519491231002X", "", "王芳", "a b", "x", None])
def test_what_is_no_pseudonym_is_found(release, name, planted):
    """A number, a name or nothing in place of the pseudonym."""
    release.rewrite(_with("pseudonym", _first(planted)))
    assert [finding.rule for finding in release.refusal(name).findings] == ["not a pseudonym"]


@BOTH
def test_person_with_two_rows_is_found(release, name):
    """Every person counts once."""
    release.rewrite(lambda table: pa.concat_tables([table, table.slice(0, 1)]))
    assert release.refusal(name).findings == (Finding("a person with more than one row", "pseudonym", 1),)


@BOTH
def test_broken_k_is_found(release, name):
    """One person with another age band stands alone."""
    release.rewrite(_with("age_band", _first("90+")))
    assert release.refusal(name).findings == (Finding("k is 1 and has to be 5", "", 1),)


@BOTH
def test_too_many_left_out_is_found(release, name):
    """Measured on the file, whatever was said before."""
    release.rewrite(lambda table: table.slice(0, 21))
    assert release.refusal(name).findings == (Finding("more persons left out than 10%", "", 3),)


@BOTH
def test_more_persons_than_came_in_is_found(release, name):
    """Nobody is made up."""
    release.policy = replace(release.policy, persons=20)
    assert release.refusal(name).findings == (Finding("more persons than the view had", "", 4),)


@BOTH
def test_empty_release_is_refused(release, name):
    """Nobody is no crowd."""
    release.rewrite(lambda table: table.slice(0, 0))
    assert release.refusal(name).findings[0] == Finding("k is 0 and has to be 5", "", 1)


@BOTH
def test_free_text_column_is_found(release, name):
    """As a column that the definition does not have."""
    release.rewrite(lambda table: table.append_column("complaint", pa.array(["头晕"] * table.num_rows)))
    assert release.refusal(name).findings == (Finding("a column that the definition does not have", "complaint", 1),)


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        "头晕三天，没精神",
        "a" * 65,
        "dizzy since last monday morning",
        "头晕恶心没有胃口晚上睡不好觉",
        "打〔手机〕",
        "one\ntwo",
    ],
)
def test_sentence_in_a_column_of_values_is_found(release, name, text):
    """Text hides in columns of other names as well."""
    release.rewrite(_with("chronic_disease", _first(text)))
    assert Finding("free text", "chronic_disease", 1) in release.refusal(name).findings


@BOTH
@pytest.mark.parametrize("cell", ["=1+1", "+8613", "@SUM(A1)", "-2"])
def test_spreadsheet_formula_is_found(release, name, cell):
    """A partner opens the file in a spreadsheet."""
    release.rewrite(_with("value_tier", _first(cell)))
    assert Finding("a spreadsheet formula", "value_tier", 1) in release.refusal(name).findings


@BOTH
def test_missing_and_reordered_columns_are_found(release, name):
    """The list of columns is closed, and in order."""
    release.rewrite(lambda table: table.drop_columns(["glucose_bin"]))
    assert release.refusal(name).findings == (Finding("a column is missing", "glucose_bin", 1),)
    release.rewrite(lambda table: table.select(["pseudonym", *reversed(table.column_names[1:])]))
    assert release.refusal(name).findings == (Finding("the columns stand in another order", "", 1),)


@BOTH
@pytest.mark.parametrize(
    ("column", "cell"), [("pressure_out_of_range", "maybe"), ("pressure_out_of_range", "13812345678")]
)
def test_cell_of_another_kind_is_found(release, name, column, cell):
    """A truth value is true or false; a number in its place is no truth value."""
    release.rewrite(
        lambda table: table.set_column(
            table.column_names.index(column), column, pa.array([cell, *["true"] * (table.num_rows - 1)])
        )
    )
    assert release.refusal(name).findings == (Finding("not boolean", column, 1),)


@BOTH
def test_edited_file_is_found_by_its_hash(release, name):
    """One changed byte, even one that changes no figure."""
    path = release.folder / name
    stated = file_sha256(path)
    check_release(path, release.policy, sha256=stated)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ReleaseRefused, match="the bytes are not those of the manifest"):
        check_release(path, release.policy, sha256=stated)


@pytest.mark.parametrize("name", ["export.csv", "export.parquet", "export.txt"])
def test_file_that_cannot_be_read_is_refused(release, name):
    """Broken, missing or foreign."""
    (release.folder / name).unlink(missing_ok=True)
    assert release.refusal(name).findings == (Finding("the file cannot be read", "", 1),)


def _hashes(release):
    return {path.name: file_sha256(path) for path in release.folder.iterdir()}


def test_whole_folder_passes(release):
    """Both files, and the manifest beside them."""
    hashes = _hashes(release)
    (release.folder / "manifest.json").write_text("{}", encoding="utf-8")
    reports = check_folder(release.folder, release.policy, hashes)
    assert [report.file for report in reports] == ["export.csv", "export.parquet"]


@pytest.mark.parametrize("change", ["more", "fewer"])
def test_other_files_than_stated_are_found(release, change):
    """A file too many may hold anything; one too few was lost."""
    hashes = _hashes(release)
    if change == "more":
        (release.folder / "raw.csv").write_text("name\n", encoding="utf-8")
    else:
        (release.folder / "export.csv").unlink()
    with pytest.raises(ReleaseRefused, match="other files than the manifest states"):
        check_folder(release.folder, release.policy, hashes)


def test_files_with_different_content_are_found(release):
    """What is checked in one format is what leaves in the other."""
    write_csv(_with("value_tier", _first("high"))(release.made.table), release.folder / "export.csv")
    with pytest.raises(ReleaseRefused, match="the files differ in content"):
        check_folder(release.folder, release.policy, _hashes(release))


def test_policy_is_that_of_the_definition(release, partner, find):
    """K and limit come from the definition, the list of columns is closed."""
    assert (release.policy.k, release.policy.suppression_limit) == (5, Decimal("0.1"))
    assert tuple(release.policy.columns) == ("pseudonym", *partner.columns, *partner.tags)
    assert release.policy.columns["diagnosis_groups"] is ColumnKind.SET
    more = replace(release.made, table=release.made.table.append_column("note", pa.array(["x"] * 24)))
    with pytest.raises(BadInput, match="other columns than the definition"):
        policy_for(partner, more, find=find)


def test_tag_as_quasi_identifier_is_measured(partner, find, tmp_path):
    """A tag that tells of the age is generalised and counted with the rest."""
    table = _persons(partner)
    table = _with("value_tier", lambda values: ["senior" if n % 2 else None for n in range(len(values))])(table)
    hierarchies = partner.hierarchies_with(dict.fromkeys(partner.tags, ()) | {"value_tier": ("age_band",)})
    made = anonymise(
        table,
        quasi_identifiers=tuple(hierarchies),
        hierarchies=hierarchies,
        k=12,
        suppression_limit=partner.suppression_limit,
    )
    assert made.levels["value_tier"] == "*"
    write_csv(made.table, tmp_path / "export.csv")
    report = check_release(tmp_path / "export.csv", policy_for(partner, made, find=find))
    assert "value_tier" in report.quasi_identifiers
    assert "value_tier" not in report.alone


def test_finding_reads_as_a_line():
    """Rule, column, count."""
    assert str(Finding("free text", "note", 2)) == "free text in note (2)"
    assert str(Finding("k is 1 and has to be 5", "", 1)) == "k is 1 and has to be 5 (1)"


def test_hierarchies_of_the_partner_are_the_known_ones(partner):
    """Bounded where the definition says so."""
    assert partner.hierarchies["age_band"].levels == AGE_BAND.levels[:3]
    assert partner.hierarchies["sex"].levels == FLAT.levels[:1]
    assert partner.hierarchies["province"].levels == PROVINCE.levels[:2]


TOLD = ["头晕三天，没精神。夜里重", "我叫〔姓名〕，电话〔手机〕", None]


@pytest.fixture
def with_texts(release) -> Release:
    """The release with a column of free text that its definition lets out."""

    def complaints(table):
        column = pa.array((TOLD * table.num_rows)[: table.num_rows], pa.string())
        return table.append_column("complaint", column)

    release.made = replace(release.made, table=complaints(release.made.table))
    columns = {**release.policy.columns, "complaint": ColumnKind.TEXT}
    release.policy = replace(release.policy, columns=columns, texts=frozenset({"complaint"}))
    release.rewrite(lambda table: table)
    return release


@BOTH
def test_redacted_text_passes_and_is_counted(with_texts, name):
    """Sentences and marks are what such a column holds; the report says how many, and that nothing was found."""
    report = check_release(with_texts.folder / name, with_texts.policy)
    assert report.to_json()["texts"] == {"complaint": {"texts": 16, "identifiers_found": 0}}


@BOTH
@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("电话13812345678，头晕", "an identifier"),
        ("=1+1", "a spreadsheet formula"),
        ("one\ntwo", "free text"),
        ("头晕\u202e三天", "free text"),
        ("头晕，" * 1_400, "free text"),
    ],
)
def test_text_that_falls_short_is_found(with_texts, name, text, rule):
    """An identifier above all; it is not told."""
    with_texts.rewrite(_with("complaint", _first(text)))
    refused = with_texts.refusal(name)
    assert refused.findings == (Finding(rule, "complaint", 1),)
    assert "13812345678" not in refused.diagnostics()


@pytest.mark.parametrize(
    ("text", "released"),
    [
        ("头晕三天", "头晕三天"),
        (" 头晕\r\n三天\t重 ", "头晕 三天 重"),
        ("=1+1", "1+1"),
        ("-@ +头晕", "头晕"),
        ("\u202e头晕", "头晕"),
        ("", None),
        (" =- ", None),
        ("长" * 4_001, None),
    ],
)
def test_text_is_made_fit_for_a_cell(text, released):
    """Line ends become spaces, what a spreadsheet would run is cut off; what is left of nothing is nothing."""
    assert releasable(text, lambda one: one) == released


def test_text_is_scrubbed_after_it_was_cut():
    """What stood behind the cut begins anew, and may be an identifier now."""
    assert releasable("=13812345678", lambda one: one.replace("13812345678", "〔手机〕")) == "〔手机〕"
    assert releasable("头晕", lambda _one: "@") is None
