"""Sets of texts are bound as one value on each engine."""

import pytest
from sqlalchemy import literal, select

from vault.setwise import among, pairs_table

TEXTS = ["plain", "", 'say "b"', "back\\slash", "{a,b}", "NULL", "汉", "a,b", '","']


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_found_among_others(any_house, text):
    """Whatever stands in it; and nothing among none."""
    others = [other for other in TEXTS if other != text]
    with any_house.data.read() as connection:
        for texts, is_there in ((TEXTS, True), ([text], True), (others, False), ([], False)):
            found = connection.execute(select(literal(1)).where(among(connection, literal(text), texts))).all()
            assert bool(found) is is_there


def test_pairs_come_as_they_are(any_house):
    """In their order, and none of none."""
    pairs = list(zip(TEXTS, reversed(TEXTS), strict=True))
    with any_house.data.read() as connection:
        table = pairs_table(connection, pairs)
        assert [tuple(row) for row in connection.execute(select(table.c.a, table.c.b))] == pairs
        table = pairs_table(connection, [])
        assert connection.execute(select(table.c.a, table.c.b)).all() == []
