"""What a pack says about whom to believe, and its mistakes."""

from pathlib import Path

import pytest

from kernel.catalogue import Catalogue
from kernel.pack import PackError, load_pack

ORDER = "desk: {compartments: [identity], order: [[hospital, fhir], app]}\nrest: {order: [app]}\n"


def with_trust(folder: Path, text: str) -> Catalogue:
    """Load a pack with this trust.yaml."""
    (folder / "trust.yaml").write_text(text, encoding="utf-8")
    return load_pack(folder)


def test_ranks_follow_the_order_of_the_file(small_pack: Path):
    """Sources of one list are trusted alike, and one that is not named comes after all others."""
    catalogue = with_trust(small_pack, ORDER)
    ranks = [catalogue.trust_rank(source, "name") for source in ("hospital", "fhir", "app", "elsewhere")]
    assert ranks == [0, 0, 1, 2]
    assert [catalogue.trust_rank(source, "diagnosis") for source in ("app", "hospital")] == [0, 1]


def test_pack_without_the_file_trusts_all_sources_alike(small_pack: Path):
    """Then the newest observation counts."""
    assert load_pack(small_pack).trust_rank("anybody", "name") == 0


def test_order_of_trust_is_part_of_the_packs_hash(small_pack: Path):
    """Whoever changes whom to believe changes the pack that the log knows."""
    before = load_pack(small_pack).hash
    first = with_trust(small_pack, ORDER).hash
    assert len({before, first, with_trust(small_pack, ORDER.replace("app]", "lis]")).hash}) == 3
    assert with_trust(small_pack, "# a comment\n" + ORDER).hash == first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("desk: {}\n", "1: 'order' is missing"),
        ("desk: {order: []}\n", "1: no source, or one twice"),
        ("desk: {order: [app, [app]]}\n", "1: no source, or one twice"),
        ("desk: {order: ['a b']}\n", "1: 'a b' is no name of a source"),
        ("desk: {order: [app], fields: [shoe_size]}\n", "1: unknown field 'shoe_size'"),
        ("desk: {order: [app], compartments: [attic]}\n", "1: unknown value 'attic'"),
        ("desk: {order: [app], colour: red}\n", "1: unknown key 'colour'"),
        ("aa: {order: [app]}\nbb: {order: [his]}\n", "2: everything else has a trust order already"),
        (
            "aa: {order: [app], fields: [name]}\nbb: {order: [his], fields: [name]}\n",
            "2: name has a trust order already",
        ),
        ("Desk: {order: [app]}\n", "1: 'Desk' is no code"),
    ],
)
def test_mistakes_are_told_with_their_line(small_pack: Path, text: str, expected: str):
    """A rule that cannot be meant is refused when the pack is loaded."""
    with pytest.raises(PackError) as caught:
        with_trust(small_pack, text)
    assert any(f"trust.yaml:{expected}" in str(mistake) for mistake in caught.value.mistakes), caught.value.mistakes


def test_shipped_pack_believes_the_desk_about_identity_and_the_person_about_contacts(medical: Catalogue):
    """The hospital saw a document; where somebody is reached the person knows best."""
    assert medical.trust_rank("hospital", "name") < medical.trust_rank("app", "name")
    assert medical.trust_rank("app", "mobile") < medical.trust_rank("hospital", "mobile")
