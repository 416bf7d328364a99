"""The lists that ship: every one has a noted source, and words, names and simplified characters can be asked."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.text import lists
from deid.text.lists import compound_surnames, is_word, path_cost, segment, simplified, surname_ranks, word_costs
from deid.text.lists.given_names import given_names
from deid.text.lists.make import main
from deid.text.lists.reading import known_names, surname_cost

_HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=16)
_FOLDER = Path(lists.__file__).parent


def test_every_list_has_a_noted_source():
    """A list that SOURCES.md does not name fails, as does a licence that it names and is not there."""
    sources = (_FOLDER / "SOURCES.md").read_text("utf-8")
    assert [path.name for path in _FOLDER.glob("*.txt") if f"`{path.name}`" not in sources] == []
    named = set(re.findall(r"`licences/(\w+\.txt)`", sources))
    assert named == {path.name for path in (_FOLDER / "licences").iterdir()}


def test_lists_are_compact():
    """All lists together stay under 2 MB."""
    assert sum(path.stat().st_size for path in _FOLDER.glob("*.txt")) < 2_000_000


def test_costs_are_bounded_and_frequent_words_are_cheap():
    """Costs fit a byte; a frequent word costs less than a rare one; public figures are no words."""
    costs = word_costs()
    assert all(0 < cost <= 255 for cost in costs.values())
    assert costs["医生"] < costs["贲门"]
    assert known_names().isdisjoint(costs)
    assert is_word("高血压")
    assert not is_word("高血")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("患者高血压病史十年", ["患者", "高血压", "病史", "十年"]),
        ("黄体酮吃多久", ["黄体酮", "吃", "多久"]),
        ("提高医生水平", ["提高", "医生", "水平"]),
    ],
)
def test_segmentation_takes_the_likeliest_words(text, words):
    """The cheapest path is the reading that a person takes."""
    assert [text[start:end] for start, end in segment(text)] == words


@given(_HAN)
def test_segments_cover_the_text_at_its_cost(text):
    """Words follow each other without a gap, and no reading in single characters is cheaper."""
    words = segment(text)
    assert "".join(text[start:end] for start, end in words) == text
    assert path_cost(text) <= sum(path_cost(character) for character in text)


def test_part_of_a_text_is_segmented_by_itself():
    """Offsets are those of the whole text."""
    assert segment("我有高血压病", 2, 5) == [(2, 5)]
    assert path_cost("我有高血压病", 2, 5) == path_cost("高血压")


@given(st.text(max_size=30))
def test_simplified_keeps_the_length(text):
    """Offsets stay, and simplified text stays as it is."""
    assert len(simplified(text)) == len(text)


def test_traditional_characters_become_simplified():
    """One for one; what has no other form is returned itself."""
    assert simplified("張偉醫師") == "张伟医师"
    text = "张伟医师"
    assert simplified(text) is text


def test_surnames_are_ranked_by_how_common_they_are():
    """The commonest comes first and costs least; compounds are apart; nothing occurs twice."""
    ranks = surname_ranks()
    assert ranks["王"] == 0
    assert len(ranks) == len(set(ranks.values())) > 450
    assert surname_cost(ranks["王"]) < surname_cost(ranks["卢"]) < surname_cost(ranks["乜"])
    assert {"欧阳", "司马"} <= compound_surnames()


def test_given_names_know_their_places():
    """建 begins names of two characters, 华 ends them; grammar is in none."""
    first, second, only = given_names()
    assert first["建"] < second["建"]
    assert second["华"] < first["华"]
    assert "的" not in first.keys() | second.keys() | only.keys()


def test_lists_are_made_from_their_sources(tmp_path):
    """Frequent words are kept with costs, names of persons become statistics, pairs of characters a table."""
    names = [f"{surname}{given}" for surname in "王李张刘陈杨赵吴" for given in ("建华", "晓明", "丽娟", "伟")]
    words = ["高血压", "医生", "今天", "血压", "一", "高", "生"]
    counted = [*((word, 9_000) for word in words), *((name, 500) for name in names)]
    (tmp_path / "word_distribution.json").write_text(
        "\n".join(json.dumps(pair, ensure_ascii=False) for pair in counted), "utf-8"
    )
    (tmp_path / "dict.txt").write_text("".join(f"{word} 100 n\n" for word in words) + "王建华 30 nr\n", "utf-8")
    (tmp_path / "TSCharacters.txt").write_text("張\t张\n後\t后\n乾\t干 乾\n", "utf-8")
    made = tmp_path / "made"
    made.mkdir()
    main(tmp_path, made)
    kept = {
        word for line in (made / "words.txt").read_text("utf-8").splitlines() for word in line.split("\t")[1].split()
    }
    assert set(words) <= kept
    assert kept.isdisjoint(names)
    assert {line.split("\t")[0] for line in (made / "given.txt").read_text("utf-8").splitlines()} == set(
        given_names()._fields
    )
    assert (made / "simplified.txt").read_text("utf-8").splitlines() == ["乾張後", "干张后"]
