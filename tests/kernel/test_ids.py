"""Identifiers."""

import pytest

from kernel.ids import is_id, new_id


def test_an_id_says_what_it_names():
    """A prefix, an underscore, and 24 letters and digits of base32."""
    made = new_id("sub")
    assert made.startswith("sub_")
    assert len(made) == 28
    assert is_id(made, "sub")


def test_ids_do_not_repeat():
    """120 random bits: a thousand are all different, and every place varies."""
    made = {new_id("rec") for _ in range(1000)}
    assert len(made) == 1000
    assert all(len({text[place] for text in made}) > 16 for place in range(4, 28))


@pytest.mark.parametrize(
    "text",
    ["", "sub_", "rec_" + "a" * 24, "sub_" + "a" * 23, "sub_" + "a" * 25, "sub_" + "A" * 24, "sub_" + "1" * 24,
     "sub_" + "a" * 24 + "\n", " sub_" + "a" * 24],
)  # fmt: skip
def test_what_has_another_shape_is_no_id(text):
    """Another prefix, length or alphabet is not accepted, nor a line break at the end."""
    assert not is_id(text, "sub")
