"""The reference says of every profile that ships for whom it is and what it does."""

import re
from pathlib import Path

from deid.text.profiles import load_profile, profile_called, profile_names

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "deid-profiles.md").read_text(encoding="utf-8")


def test_page_lists_every_profile_with_audience_and_description():
    """In the words of the files."""
    head = PAGE.partition("\n## ")[0]
    told = [
        tuple(cell.strip(" `") for cell in line.strip("|").split("|"))
        for line in head.splitlines()
        if "| `" in line[:3]
    ]
    found = [profile_called(name) for name in profile_names()]
    assert told == [(profile.name, profile.audience, profile.description) for profile in found]


def test_page_shows_a_profile_that_can_be_read(tmp_path):
    """A reader can copy it."""
    shown = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "study.yaml"
    path.write_text(shown[1], encoding="utf-8")
    assert load_profile(path).needs == {"tokeniser", "shift_days"}
