"""Located YAML: what is read, where it stands, and how a mistake is told."""

import string
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel import located_yaml
from kernel.located_yaml import Located, PackError, load


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.fixture
def write(tmp_path: Path):
    """Write a file and return its path."""

    def _write(content: str | bytes) -> Path:
        path = tmp_path / "x.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


@pytest.fixture
def read(write):
    """Write a file and load it."""
    return lambda content: load(write(content))


def test_every_node_knows_its_file_and_line(write):
    """A node under a key reports the key's line, an item of a sequence its own."""
    path = write("a: 1\nb:\n  - x\n  - y\nc:\n  d: z\n")
    root = load(path)
    assert (root.file, root.line) == (str(path), 1)
    assert [item.line for item in root["b"].sequence()] == [3, 4]
    assert (root["c"].line, root["c"]["d"].line) == (5, 6)


def test_scalars_are_read_by_the_rules_of_yaml_1_2(read):
    """Words of YAML 1.1 such as `no` and dates are texts; true, whole numbers and nothing are not."""
    root = read("a: [no, 2026-01-31, '12', 15y, 2026.11.1]\nb: [true, false]\nc: [0, -7]\nd: [~, null, '']\ne:")
    assert root.value() == {
        "a": ["no", "2026-01-31", "12", "15y", "2026.11.1"],
        "b": [True, False],
        "c": [0, -7],
        "d": [None, None, ""],
        "e": None,
    }


@pytest.mark.parametrize("raw", ["010", "1_000", "0x1f", "1e5", "1.", ".5", ".inf", "+5", "1234567890123456"])
def test_a_number_in_another_form_must_be_quoted(read, raw):
    """What one YAML reader takes for a number and another does not is neither text nor number here."""
    node = read(f"a: {raw}")["a"]
    assert node.kind == "number"
    for access in (node.text, node.integer, node.decimal, node.value):
        with pytest.raises(PackError, match=r"x\.yaml:1: this is the number"):
            access()


def test_a_decimal_is_exact(read):
    """A decimal is taken from the characters in the file, and is refused as a plain value."""
    root = read("a: 0.10\nb: -3\nc: x")
    assert str(root["a"].decimal()) == "0.10"
    assert root["b"].decimal() == Decimal(-3)
    with pytest.raises(PackError, match=r"such as 5\.6"):
        root["c"].decimal()
    with pytest.raises(PackError, match="expected the number as quoted text"):
        root["a"].value()


def test_text_is_trimmed_and_never_empty(read):
    """Folded text loses its last line break; an empty text is a mistake."""
    root = read("a: >-\n  one\n  two\nb: '  '\n")
    assert root["a"].text() == "one two"
    with pytest.raises(PackError, match=r"x\.yaml:4: the text is empty; expected some text"):
        root["b"].text()


@pytest.mark.parametrize("raw", ["12", "true", "1.5", "010"])
def test_a_value_that_must_be_quoted_says_so(read, raw):
    """Where text is wanted, a bare number or truth value is refused with the remedy."""
    with pytest.raises(PackError, match="put quotes around it"):
        read(f"a: {raw}")["a"].text()


def test_integers_keep_to_their_bounds(read):
    """The message names the bounds that were given."""
    node = read("a: 7")["a"]
    assert node.integer(minimum=7, maximum=7) == 7
    with pytest.raises(PackError, match="7 is out of range; expected 8 to 9"):
        node.integer(minimum=8, maximum=9)
    with pytest.raises(PackError, match="expected at least 8"):
        node.integer(minimum=8)
    with pytest.raises(PackError, match="expected at most 6"):
        node.integer(maximum=6)


@pytest.mark.parametrize(
    ("raw", "access", "message"),
    [
        ("[]", Located.text, "this is a sequence; expected a text"),
        ("{}", Located.sequence, "this is a mapping; expected a sequence"),
        ("x", Located.mapping, "this is the text 'x'; expected a mapping"),
        ("x", Located.items, "this is the text 'x'; expected a mapping"),
        ("x", Located.boolean, "this is the text 'x'; expected true or false"),
        ("", Located.integer, "this is nothing; expected an integer"),
        ("", Located.text, "this is nothing; expected a text"),
    ],
)
def test_another_kind_of_node_is_named(read, raw, access, message):
    """The message says what stands there and what was wanted."""
    with pytest.raises(PackError, match=message):
        access(read(f"a: {raw}")["a"])


def test_a_long_value_is_cut_in_the_message(read):
    """A message does not repeat a whole page."""
    with pytest.raises(PackError) as caught:
        read("a: " + "x" * 500)["a"].integer()
    assert len(str(caught.value).partition(": ")[2]) < 90


def test_choices_are_checked(read):
    """An enum member is found by its value, a text among the allowed; anything else lists the choices."""
    root = read("a: red\nb: green")
    assert root["a"].one_of(Colour) is Colour.RED
    assert root["a"].one_of({"red", "pink"}) == "red"
    with pytest.raises(PackError, match=r"x\.yaml:2: unknown value 'green'; expected one of blue, red"):
        root["b"].one_of(Colour)
    with pytest.raises(PackError, match="unknown value 'green'; expected one of none"):
        root["b"].one_of(())


def test_all_wrong_keys_of_a_mapping_come_together(read):
    """Missing and unknown keys are reported in one error, each at its line."""
    root = read("code: a\nspare: b\nextra: c\n")
    with pytest.raises(PackError) as caught:
        root.mapping(required={"code", "unit"}, optional={"note"})
    assert [(mistake.line, mistake.message) for mistake in caught.value.mistakes] == [
        (1, "'unit' is missing"),
        (2, "unknown key 'spare'"),
        (3, "unknown key 'extra'"),
    ]
    assert all("code, note, unit" in mistake.expected for mistake in caught.value.mistakes)


def test_keys_are_reached_as_in_a_dict(read):
    """`get` answers None for an absent key, brackets raise, `in` asks, `items` keeps the order of the file."""
    root = read("b: 1\na: 2\n").mapping()
    assert root.get("c") is None
    assert root.get("a") is root["a"]
    assert "b" in root
    assert "c" not in root
    assert [key for key, _ in root.items()] == ["b", "a"]
    assert root.mapping(optional={"a", "b"}) is root
    with pytest.raises(PackError, match="'c' is missing"):
        root["c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\na: 2", "2: the key 'a' again"),
        ("a: &x 1\nb: *x", "1: an anchor"),
        ("a: *x", "1: an alias"),
        ("a: &x [*x]", "1: an anchor"),
        ("a: !!python/object:os.system ls", "1: the tag"),
        ("a: !mine {b: c}", "1: the tag '!mine'"),
        ("a: [", "2: not valid YAML"),
        ("a:\n\tb: 1", "2: not valid YAML"),
        ("a: 1\nb: \x01", "2: a control character"),
        ("", "1: the file is empty"),
        ("# nothing\n", "1: the file is empty"),
        ("--- a\n--- b", "2: another document"),
        ("? [a]\n: b", "1: a sequence as a key"),
        ("? {a: b}\n: b", "1: a mapping as a key"),
        ("1: b", "1: this is the integer '1'"),
        ('a: "\\ud800"', "1: not valid YAML"),
        ("a: " + "[" * 100_000, "1: nested too deeply"),
        ("- " * 100_000, "1: nested too deeply"),
    ],
)
def test_what_is_not_one_plain_document_is_refused(write, content, message):
    """Each has its line and what was expected; deep nesting does not take the process down."""
    with pytest.raises(PackError) as caught:
        load(write(content))
    assert f"x.yaml:{message}" in str(caught.value)
    assert caught.value.mistakes[0].expected


def test_a_mark_of_byte_order_is_no_mistake(read):
    """Files saved by some editors begin with one."""
    assert read(b"\xef\xbb\xbfa: x").value() == {"a": "x"}


def test_a_file_in_gbk_is_named_as_such(write):
    """The commonest wrong encoding is recognised, with the line of the first wrong byte."""
    with pytest.raises(PackError, match=r"x.yaml:2: not UTF-8, it reads as GB18030 \(GBK\)"):
        load(write("a: 1\nb: 诊断\n".encode("gbk")))


def test_a_file_in_no_known_encoding_is_not_guessed(write):
    """Bytes that are neither UTF-8 nor GB18030 get no guess."""
    with pytest.raises(PackError, match=r"x\.yaml:1: not UTF-8; expected"):
        load(write(b"\xff\xff\xff"))


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path):
    """A missing file is a mistake of the pack, not a traceback."""
    with pytest.raises(PackError, match=r"none.yaml:1: cannot be read \(No such file or directory\)"):
        load(tmp_path / "none.yaml")


def test_a_file_beyond_the_bound_is_not_parsed(write, monkeypatch):
    """The bound holds for the bytes on the disk."""
    monkeypatch.setattr(located_yaml, "MAX_FILE_BYTES", 10)
    assert load(write("a: 1234567")).value() == {"a": 1234567}
    with pytest.raises(PackError, match="too large; expected at most 10 bytes"):
        load(write("a: 12345678"))


def test_an_error_is_bad_input_with_one_mistake_a_line(read):
    """Any part of the product can raise with the node's own place."""
    error = read("a: b")["a"].fail("not so", expected="otherwise")
    assert error.exit_code == 2
    assert error.diagnostics().endswith("x.yaml:1: not so; expected otherwise")
    assert str(read("a: b").fail("alone").mistakes[0]).endswith("x.yaml:1: alone")


_TEXTS = st.text(alphabet=string.ascii_letters + string.digits + " 诊断:#-'\"\n{}[],&*!|>%@`", max_size=20).filter(
    lambda text: text.strip()[:1] not in {*string.digits, "."}
)
"""PyYAML writes 019 and 1e5 without quotes, which we refuse to guess about."""
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**14), 10**14) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS.filter(str.strip), inner, max_size=4),
    max_leaves=12,
)


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


@given(value=_VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_what_a_yaml_writer_wrote_is_read_back(value, tmp_path: Path):
    """Round trip through another implementation's writer, quoting and all."""
    path = tmp_path / "round.yaml"
    path.write_text(yaml.dump({"root": value}, Dumper=_PlainDumper, allow_unicode=True), encoding="utf-8")
    try:
        found = load(path)["root"].value()
    except PackError as err:
        assert "again" in str(err)  # noqa: PT017 - keys that differ in white space only are one key here
    else:
        assert found == _trimmed_keys(value)


def _trimmed_keys(value):
    if isinstance(value, dict):
        return {key.strip(): _trimmed_keys(item) for key, item in value.items()}
    return [_trimmed_keys(item) for item in value] if isinstance(value, list) else value
