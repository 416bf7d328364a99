"""Conflicts, marks and offsets."""

from deid.text.kinds import MARKS, Kind
from deid.text.scanner import islands
from deid.text.spans import Hit, Scrubbed, Span, Unmasking, mask, masked_places, settle


def test_check_digit_wins_over_length() -> None:
    """An identity number inside a longer unchecked hit gives the type; the whole stretch is covered."""
    address = Hit(0, 30, Kind.EMAIL, 0.95, checked=False)
    identity = Hit(0, 18, Kind.ID_NUMBER, 1.0, checked=True)
    assert settle([address, identity]) == [Span(0, 30, Kind.ID_NUMBER, 1.0)]


def test_length_wins_over_score() -> None:
    """A longer hit beats a surer one that lies inside it."""
    mobile = Hit(0, 11, Kind.MOBILE, 0.99, checked=False)
    address = Hit(0, 19, Kind.EMAIL, 0.5, checked=False)
    assert settle([mobile, address]) == [Span(0, 19, Kind.EMAIL, 0.5)]


def test_score_decides_between_equal_hits() -> None:
    """On the same stretch the surer kind wins, in whatever order they come."""
    hits = [Hit(3, 14, Kind.LANDLINE, 0.6, checked=False), Hit(3, 14, Kind.MOBILE, 0.9, checked=False)]
    assert settle(hits) == settle(reversed(hits)) == [Span(3, 14, Kind.MOBILE, 0.9)]


def test_the_subjects_own_record_wins_over_all() -> None:
    """What is known of the subject gives the type, be the others longer, surer or proved by a check digit."""
    own = Hit(4, 8, Kind.RECORD_NUMBER, 0.5, checked=False, source="record.number")
    others = [Hit(0, 18, Kind.ID_NUMBER, 1.0, checked=True), Hit(0, 30, Kind.EMAIL, 0.9, checked=False)]
    (span,) = settle([*others, own])
    assert (span.start, span.end, span.type, span.source) == (0, 30, Kind.RECORD_NUMBER, "record.number")


def test_the_winner_tells_its_rule_and_its_proof() -> None:
    """Both stay with the span."""
    (span,) = settle([Hit(0, 18, Kind.ID_NUMBER, 1.0, checked=True, source="id_number")])
    assert (span.source, span.checked) == ("id_number", True)


def test_of_two_verified_numbers_the_surer_proof_wins() -> None:
    """One in ten identity numbers passes as a bank card too."""
    hits = [Hit(0, 18, kind, 1.0, checked=True) for kind in (Kind.BANK_CARD, Kind.ID_NUMBER)]
    assert [span.type for span in settle(hits)] == [Kind.ID_NUMBER]
    assert [span.type for span in settle(reversed(hits))] == [Kind.ID_NUMBER]


def test_touching_hits_stay_apart() -> None:
    """End-exclusive spans that only touch do not overlap."""
    hits = [Hit(0, 5, Kind.EMAIL, 0.9, checked=False), Hit(5, 9, Kind.MOBILE, 0.9, checked=False)]
    assert [(span.start, span.end) for span in settle(hits)] == [(0, 5), (5, 9)]


def test_what_a_losing_hit_saw_is_covered() -> None:
    """Partly overlapping hits leave no rest standing."""
    hits = [Hit(0, 10, Kind.LANDLINE, 0.8, checked=False), Hit(6, 24, Kind.ID_NUMBER, 1.0, checked=True)]
    assert settle(hits) == [Span(0, 24, Kind.ID_NUMBER, 1.0)]


def test_masked_offsets_lead_back_to_the_text() -> None:
    """Marks shorter and longer than what they replace move what follows."""
    text = "甲13800138000乙a@b.cn丙"
    spans = [Span(1, 12, Kind.MOBILE, 0.9), Span(13, 19, Kind.EMAIL, 0.9)]
    masked = mask(text, spans)
    assert masked == "甲〔手机〕乙〔邮箱〕丙"
    for character in "甲乙丙":
        assert Unmasking(spans).original(masked.index(character)) == text.index(character)


def test_every_kind_has_a_mark_that_no_scanner_reads() -> None:
    """A mark is no island: it is never found again."""
    assert set(MARKS) == set(Kind)
    assert len(set(MARKS.values())) == len(MARKS)
    assert not any(islands("".join(MARKS.values())))


def test_scrubbed_text_is_hidden_from_repr() -> None:
    """What is left may still name a person."""
    scrubbed = Scrubbed("王小明", (Span(0, 3, Kind.URL, 0.9),))
    assert "王小明" not in repr(scrubbed)
    assert not scrubbed.is_withheld


def test_places_of_chosen_marks() -> None:
    """In the masked text, whatever the lengths of what was masked before."""
    spans = [Span(0, 11, Kind.MOBILE, 0.9), Span(13, 16, Kind.EMAIL, 0.9), Span(20, 40, Kind.URL, 0.9)]
    text = "13800138000，。a@b，，，，" + "u" * 20
    masked = mask(text, spans)
    places = masked_places(spans, [spans[1], spans[2]])
    assert [masked[place : place + 4] for place in places] == [MARKS[Kind.EMAIL], MARKS[Kind.URL]]
