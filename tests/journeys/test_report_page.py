"""The demo's report in a real browser: readable, bilingual, and silent on the network."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentry.demo.story import Story

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("demo")]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def chromium() -> str:
    """The system's Chromium, with a font that has Chinese characters."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("browser: no system Chromium")
    fonts = shutil.which("fc-list")
    if fonts is None or not subprocess.run([fonts, ":lang=zh"], capture_output=True, check=False).stdout:
        pytest.skip("browser: no font with Chinese characters")
    return found


@pytest.fixture
def page(chromium: str, demo: tuple[Path, Story]) -> Iterator[tuple[object, list[str]]]:
    """The report, opened; and every address that it asked for, and every complaint of the console."""
    from playwright.sync_api import sync_playwright

    folder, _ = demo
    seen: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1100, "height": 900})
        opened.on("request", lambda request: seen.append(request.url))
        opened.on("console", lambda message: seen.append(f"console: {message.text}"))
        opened.goto((folder / "report.html").as_uri())
        yield opened, seen
        browser.close()


def test_report_loads_nothing_but_itself(page, demo: tuple[Path, Story]) -> None:
    """The page makes one request, for its own file, and the console stays silent."""
    opened, seen = page
    assert seen == [(demo[0] / "report.html").as_uri()]
    assert opened.locator("h2").count() == 8


def test_report_switches_between_chinese_and_english(page) -> None:
    """One button shows the whole page in the other language."""
    opened, _ = page
    assert opened.locator("#proof h2 .zh").is_visible()
    assert not opened.locator("#proof h2 .en").is_visible()
    opened.click("button")
    assert opened.locator("#proof h2 .en").is_visible()
    assert not opened.locator("#proof h2 .zh").is_visible()


def test_report_shows_portrait_distribution_refusals_changes_and_proof(page, demo: tuple[Path, Story]) -> None:
    """Every part has rows, and the proof says whole."""
    opened, _ = page
    _, story = demo
    assert opened.locator("#portrait tbody tr").count() == 12
    assert opened.locator("#distribution tbody tr").count() > 12
    assert opened.locator("#refusals tbody tr").count() >= 2
    assert opened.locator("#withdrawal tbody tr").count() == len(story.changes)
    assert opened.locator("#proof > p .ok").count() == 2


def test_report_shows_what_the_withdrawal_led_to_and_links_the_history(page, demo: tuple[Path, Story]) -> None:
    """Each item of the wake has its row, the refused field its rules, and the link opens the history beside it."""
    opened, seen = page
    folder, story = demo
    assert opened.locator("#wake tbody tr").count() == len(story.register["wake"])
    assert opened.locator("#explained .no").count() == 1
    opened.click("#aftermath a")
    assert seen == [(folder / name).as_uri() for name in ("report.html", "history.html")]
    assert opened.locator("#events > li").count() > 10


def test_report_fits_its_width(page) -> None:
    """Nothing sticks out sideways on a laptop's window."""
    opened, _ = page
    assert opened.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
