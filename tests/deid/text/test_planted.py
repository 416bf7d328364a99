"""Recall on planted identifiers and silence on what only looks like one, over many generated sentences."""

import csv
import os
import random
from pathlib import Path

import pytest

from benchmarks.planted_kinds import CARRIERS, HARD, PLANTS, planted
from deid.text import Kind, TextScrubber

TRIALS = 2_000 if os.environ.get("CONSENTRY_NIGHTLY") == "1" else 80
SEED = 20260301


@pytest.fixture(scope="module")
def scrubber():
    """One scrubber for all trials."""
    return TextScrubber(budget_ms=60_000)


def missed(scrubber, name, carriers):
    """Which planted identifiers were not found exactly, with the right kind."""
    draw = random.Random(f"{SEED}{name}")
    made = [planted(name, draw, draw.choice(carriers)) for _ in range(TRIALS)]
    return [
        one
        for one in made
        if (one.kind, one.start, one.start + len(one.value))
        not in {(span.type, span.start, span.end) for span in scrubber.find(one.text)}
    ]


@pytest.mark.parametrize("name", PLANTS)
def test_planted_identifier_is_found_exactly(scrubber, name):
    """Glued or delimited, plain or disguised: at least 995 in 1,000, and by day all but one."""
    assert len(missed(scrubber, name, CARRIERS)) <= max(1, TRIALS * 5 // 1_000)


@pytest.mark.parametrize("name", HARD)
def test_what_only_looks_like_one_stays(scrubber, name):
    """At least 99 in 100 sentences are left alone; by day all of them."""
    draw = random.Random(f"{SEED}{name}")
    texts = [draw.choice(CARRIERS).replace("{}", HARD[name](draw)) for _ in range(TRIALS)]
    assert len([text for text in texts if scrubber.find(text)]) <= TRIALS // 200


def test_planted_into_outside_dialogues_they_are_found(scrubber):
    """Glued to the words of real questions, at their beginning, middle or end, but to no number of theirs."""
    folder = os.environ.get("CONSENTRY_OUTSIDE_DATA")
    if not folder:
        pytest.skip("CONSENTRY_OUTSIDE_DATA is not set")
    with (Path(folder) / "med_dialogue_dev.csv").open(encoding="utf-8") as file:
        asked = [row["ask"].replace("{", "").replace("}", "") for row in csv.DictReader(file)]
    draw = random.Random(SEED)
    carriers = []
    for ask in draw.sample(asked, 200):
        places = (0, len(ask) // 2, len(ask))
        place = draw.choice([at for at in places if not ask[at : at + 1].isalnum() or not ask[at : at + 1].isascii()])
        carriers.append(f"{ask[:place]}，{{}}{ask[place:]}")
    lost = sum(len(missed(scrubber, name, carriers)) for name in PLANTS)
    assert lost <= TRIALS * len(PLANTS) * 5 // 1_000


def test_every_structured_kind_is_planted():
    """What has no generator here has its own tests: names, places, organisations, and kinds of other countries."""
    elsewhere = {"PERSON", "ADDRESS", "PLACE", "ORGANIZATION", "WITHHELD", "IBAN", "US_SSN", "US_NPI", "US_MBI"}
    assert {kind.value for kind in Kind} - {plant.kind.value for plant in PLANTS.values()} <= elsewhere | {
        "ACCOUNT_NUMBER"
    }
