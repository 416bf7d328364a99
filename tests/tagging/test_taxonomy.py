"""Reading a taxonomy: every mistake with its place, references in order, circles named."""

import pytest

from kernel.errors import NotFound
from kernel.located_yaml import PackError
from tagging.taxonomy import TagType


def test_medical_taxonomy_has_twelve_tags_over_four_layers(medical_taxonomy):
    """The pack ships three tags a layer, of all three types, in both languages."""
    assert [tag.layer for tag in medical_taxonomy.tags] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert {tag.type for tag in medical_taxonomy.tags} == set(TagType)
    assert all(tag.label.zh != tag.label.en and tag.examples for tag in medical_taxonomy.tags)


def test_layers_put_references_first(taxonomy_of, tag_yaml):
    """A tag stands in a layer after all that it refers to."""
    taxonomy = taxonomy_of(
        tag_yaml("c", "tag('b')"), tag_yaml("b", "tag('a')"), tag_yaml("a", "TRUE"), tag_yaml("d", "TRUE")
    )
    assert [[tag.code for tag in layer] for layer in taxonomy.layers] == [["a", "d"], ["b"], ["c"]]
    assert [tag.code for tag in taxonomy.with_references("c")] == ["a", "b", "c"]
    assert [tag.code for tag in taxonomy.with_references("d")] == ["d"]


def test_circle_is_named(taxonomy_of, tag_yaml):
    """Tags that refer to each other in a circle are refused with the way around it."""
    with pytest.raises(
        PackError, match=r"taxonomy.yaml:\d+: tags in a circle: (a → c → b → a|b → a → c → b|c → b → a → c)"
    ):
        taxonomy_of(
            tag_yaml("a", "tag('b')"), tag_yaml("b", "tag('c')"), tag_yaml("c", "tag('a')"), tag_yaml("d", "TRUE")
        )


def test_tag_that_refers_to_itself_is_a_circle(taxonomy_of, tag_yaml):
    """A tag cannot be made of itself."""
    with pytest.raises(PackError, match="tags in a circle: a → a"):
        taxonomy_of(tag_yaml("a", "NOT tag('a')"))


def test_mistake_in_a_rule_is_located_in_file_and_rule(taxonomy_of, tag_yaml):
    """The file and line of the rule come first, then the line and column inside it."""
    with pytest.raises(PackError) as caught:
        taxonomy_of(tag_yaml("a", "TRUE"), tag_yaml("b", "TRUE\nAND nowhere = 'x'"))
    (mistake,) = caught.value.mistakes
    assert mistake.file.endswith("taxonomy.yaml")
    assert mistake.line == 28
    assert mistake.message == "line 2, column 5 of the rule: unknown name 'nowhere'"


def test_all_mistakes_are_told_at_once(taxonomy_of, tag_yaml):
    """Two tags with mistakes give two mistakes."""
    with pytest.raises(PackError) as caught:
        taxonomy_of(tag_yaml("a", "sex"), tag_yaml("b", "TRUE"), tag_yaml("c", "ethnicity = 'x'"))
    assert [mistake.message for mistake in caught.value.mistakes] == [
        "the rule gives a text",
        "line 1, column 1 of the rule: R33: no tag may read ethnicity",
    ]


@pytest.mark.parametrize(
    ("rule", "type_", "more", "message"),
    [
        ("'x'", "enum", {"values": "{}"}, "no values"),
        ("'x'", "enum", {}, "'values' is missing"),
        ("'x'", "enum", {"values": "{unknown: {zh: 甲, en: A}}"}, "called unknown"),
        ("TRUE", "bool", {"values": "{x: {zh: 甲, en: A}}"}, "only an enum has values"),
        ("TRUE", "number", {}, "the rule gives a bool; expected a number for the type number"),
        ("TRUE", "flag", {}, "unknown value 'flag'"),
        ("TRUE", "bool", {"layer": "5"}, "5 is out of range"),
        ("TRUE", "bool", {"sensitivity": "0"}, "0 is out of range"),
        ("TRUE", "bool", {"label": "{zh: 甲}"}, "'en' is missing"),
        ("TRUE", "bool", {"colour": "red"}, "unknown key 'colour'"),
        ("tag('b')", "bool", {}, "line 1, column 5 of the rule: unknown tag 'b'; expected one of a"),
    ],
)
def test_wrong_tag_is_refused(*, rule, type_, more, message, taxonomy_of, tag_yaml):
    """Types, values, bounds and keys are checked, and the message says what was expected."""
    with pytest.raises(PackError) as caught:
        taxonomy_of(tag_yaml("a", rule, type_, **more))
    assert message in str(caught.value)


@pytest.mark.parametrize("code", ["pseudonym", "Upper", "a-b", "and", "1a", "t;drop"])
def test_code_must_be_a_plain_name(code, taxonomy_of, tag_yaml):
    """A code becomes a column and is written in cohorts, so it is a lower-case name."""
    with pytest.raises(PackError, match="cannot be a tag's code"):
        taxonomy_of(tag_yaml(code, "TRUE"))


def test_code_is_unique(taxonomy_of, tag_yaml):
    """The second tag of a code is refused."""
    with pytest.raises(PackError, match="the tag 'a' again"):
        taxonomy_of(tag_yaml("a", "TRUE"), tag_yaml("a", "FALSE"))


def test_taxonomy_without_tags_is_refused(tmp_path):
    """An empty list of tags is a mistake."""
    from tagging.taxonomy import load_taxonomy

    path = tmp_path / "taxonomy.yaml"
    path.write_text("taxonomy: made\nversion: 1\ntags: []\n")
    with pytest.raises(PackError, match="0 tags; expected 1 to 500"):
        load_taxonomy(path)


def test_hash_follows_what_tags_mean(taxonomy_of, tag_yaml):
    """Another rule gives another hash; another test does not."""
    one = taxonomy_of(tag_yaml("a", "TRUE")).hash
    assert taxonomy_of(tag_yaml("a", "TRUE", tests="[{as_of: 2026-11-21, expect: true}]")).hash == one
    assert taxonomy_of(tag_yaml("a", "FALSE")).hash != one
    assert taxonomy_of(tag_yaml("a", "TRUE", version="2")).hash != one


def test_unknown_tag_is_not_found(medical_taxonomy):
    """Asking for a tag that does not exist names it."""
    with pytest.raises(NotFound, match="no tag 'nothing' in medical"):
        medical_taxonomy.get("nothing")


def test_value_without_label_is_its_own(medical_taxonomy):
    """A value is shown by its label, and as it is where it has none."""
    tag = medical_taxonomy.get("age_group")
    assert tag.label_of("senior").en == "Senior (60 and over)"
    assert tag.label_of("other").zh == "other"
