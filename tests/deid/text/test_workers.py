"""Many texts in processes of their own."""

import os
import signal

import pytest

from deid.text import MARKS, Kind, TextScrubber
from deid.text.models import ModelEngine, ModelSettings
from deid.text.workers import ScrubberPool, ScrubberSetup
from kernel.errors import ConfigurationError, Unavailable

TEXTS = [f"第{number}次头晕，手机138{number:08}请回电，邮箱u{number}@qq.com" for number in range(1_200)]


@pytest.fixture(scope="module")
def pool():
    """Two processes for all tests that leave them alive."""
    with ScrubberPool(2, ScrubberSetup(budget_ms=60_000)) as pool:
        yield pool


def test_answers_come_in_the_order_of_the_texts(pool):
    """Each as one process would give it, over many chunks, with rule and check digit."""
    scrubber = TextScrubber(budget_ms=60_000)
    assert list(pool.find_many(TEXTS)) == [scrubber.find(text) for text in TEXTS]
    (span,) = next(pool.find_many(["身份证11010519491231002X"]))
    assert (span.type, span.checked, bool(span.source)) == (Kind.ID_NUMBER, True, True)


def test_scrubbed_texts_come_back(pool):
    """With whatever characters are in them, also half of a surrogate pair."""
    texts = ["", "电话13800138000", "\ud800电话13800138000\u2028\x00"]
    assert [one.text for one in pool.scrub_many(texts)] == ["", "电话〔手机〕", "\ud800电话〔手机〕\u2028\x00"]


def test_texts_are_read_only_a_little_ahead(pool):
    """A source that never ends can be read."""
    read = []

    def endless():
        while True:
            read.append(1)
            yield "头晕" * 2_000

    answers = pool.find_many(endless())
    assert [next(answers) for _ in range(3)] == [[], [], []]
    assert len(read) < 200
    answers.close()
    assert list(pool.find_many(["头晕"])) == [[]]


def test_a_failure_is_told_without_the_text(pool):
    """By its name, as an error; the process goes on."""
    with pytest.raises(Unavailable, match="failed: ") as failed:
        list(pool.find_many([["电话13800138000"]]))
    assert "13800138000" not in failed.value.diagnostics()
    assert list(pool.find_many(["头晕"])) == [[]]


def test_budget_and_death_of_a_process():
    """A text that takes too long is withheld there as anywhere; a process that dies is an error, and nothing hangs."""
    with pytest.raises(Unavailable, match="ended"), ScrubberPool(1, ScrubberSetup(budget_ms=0)) as pool:
        assert [one.text for one in pool.scrub_many(["电话13800138000"])] == [MARKS[Kind.WITHHELD]]
        (process,) = pool._processes
        os.kill(process._process.pid, signal.SIGKILL)
        list(pool.find_many(TEXTS))


def test_a_setup_that_cannot_be_built_starts_no_process(tmp_path):
    """It is refused where the pool is made."""
    absent = ModelSettings("absent", ModelEngine.SPACY, tmp_path / "no", frozenset(("zh",)), {})
    with pytest.raises(ConfigurationError, match="absent"):
        ScrubberPool(1, ScrubberSetup(models=(absent,)))
    with pytest.raises(ConfigurationError, match="threshold"):
        ScrubberPool(1, ScrubberSetup(thresholds={"default": 7}))
