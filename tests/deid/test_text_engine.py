"""The frame: presidio without model, network, downloads and logs."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deid.text import Kind, TextScrubber
from deid.text.engine import PresidioDetector
from deid.text.identifiers import Identifier, Verdict
from deid.text.scanner import Scanner

_OFFLINE = """
import sys

events = []

def watch(event, arguments):
    if event.startswith(("socket.", "urllib.", "ftplib.", "http.", "subprocess.")):
        events.append(event)
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+"):
        events.append(f"write {arguments[0]}")

sys.addaudithook(watch)
from deid.text import TextScrubber
result = TextScrubber().scrub("电话13800138000，邮箱zhangsan@qq.com，见https://example.com/a")
assert result.text == "电话〔手机〕，邮箱〔邮箱〕，见〔网址〕", result.text
assert not events, events
unwanted = {"spacy", "thinc", "tldextract", "requests", "urllib3", "httpx", "transformers", "torch", "stanza"}
assert not unwanted & {name.partition(".")[0] for name in sys.modules}
"""

_LAZY = """
import sys
import deid.text
deid.text.TextScrubber()
assert "presidio_analyzer" not in sys.modules
"""


def _run_fresh(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(folder), "PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )


def test_first_scrub_opens_no_socket_and_writes_no_file(tmp_path: Path) -> None:
    """In a fresh process, under an audit hook: no socket, no child process, no file written, no model library."""
    finished = _run_fresh(_OFFLINE, tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_loads_no_presidio(tmp_path: Path) -> None:
    """Importing the package and making a scrubber stays light."""
    finished = _run_fresh(_LAZY, tmp_path)
    assert finished.returncode == 0, finished.stderr


def test_no_value_reaches_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level neither the value nor its neighbours are logged."""
    caplog.set_level(logging.DEBUG)
    TextScrubber().scrub("慢性胃炎的王小明手机13800138000")
    assert "13800138000" not in caplog.text
    assert "王小明" not in caplog.text


def test_weak_hits_are_dropped() -> None:
    """A score under the threshold is no hit."""
    weak = Identifier("weak", Kind.MOBILE, re.compile("[0-9]{7}"), lambda _: Verdict(0.01))
    strong = Identifier("strong", Kind.MOBILE, re.compile("[0-9]{7}"), lambda _: Verdict(0.7))
    assert PresidioDetector([Scanner([weak], ())]).detect("1234567") == []
    assert [hit.score for hit in PresidioDetector([Scanner([strong], ())]).detect("1234567")] == [0.7]


def test_detector_keeps_the_verified_check_digit() -> None:
    """The proof of a check digit passes through presidio's results."""
    hits = PresidioDetector().detect("11010519491231002X 13800138000")
    assert {(hit.kind, hit.checked) for hit in hits} == {(Kind.ID_NUMBER, True), (Kind.MOBILE, False)}


def test_failing_judge_stops_the_scrub() -> None:
    """An error inside a recognizer is not swallowed: no text comes back."""

    def fail(_: object) -> Verdict:
        raise ZeroDivisionError

    broken = Identifier("broken", Kind.MOBILE, re.compile("[0-9]{7}"), fail)
    with pytest.raises(ZeroDivisionError):
        TextScrubber(detector=PresidioDetector([Scanner([broken], ())])).scrub("1234567")
