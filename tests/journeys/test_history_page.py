"""A person's consent history in a real browser: both languages, every word shown, and silent on the network."""

import html
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentry.cli import main

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("history_page")]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
ACTS = [
    {
        "act_id": "a1", "act": "contract", "subject": {"source": "app", "id": "u-1", "birth_date": "1990-05-20"},
        "purposes": ["P01", "P02"], "actor": {"kind": "operator"}, "evidence": {"mechanism": "signed"},
    },
    {
        "act_id": "a2", "act": "grant", "subject": {"source": "app", "id": "u-1"}, "purposes": ["P07"],
        "notice": {"code": "profiling", "version": "2026-11", "locale": "zh-CN"},
        "evidence": {"mechanism": "tapped_button", "note": "<img src=x onerror=alert(1)>"},
    },
    {
        "act_id": "a3", "act": "withdraw", "subject": {"source": "app", "id": "u-1"}, "purposes": ["P07"],
        "evidence": {"mechanism": "tapped_button"},
    },
]  # fmt: skip


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


def consentry(*words: object) -> None:
    """Run a command that must succeed."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0, words


@pytest.fixture
def written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The page of a person who granted and withdrew, evidence included."""
    home, acts = tmp_path / "home", tmp_path / "acts.ndjson"
    acts.write_text("".join(json.dumps(act | {"at": "2026-11-21T10:00:00+08:00"}) + "\n" for act in ACTS))
    consentry("init", "--home", home)
    consentry("ingest", "consents", acts, "--home", home, "--quiet")
    capsys.readouterr()
    consentry("subject", "find", "--source", "app", "--id", "u-1", "--home", home)
    subject = capsys.readouterr().out.strip()
    page = tmp_path / "history.html"
    consentry("consent", "history", subject, "--format", "html", "--evidence", "--out", page, "--home", home)
    return page


@pytest.fixture
def opened(chromium: str, written: Path) -> Iterator[tuple[object, list[str]]]:
    """The page, opened; and every address that it asked for, and every complaint of the console."""
    from playwright.sync_api import sync_playwright

    seen: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 900, "height": 1100})
        page.on("request", lambda request: seen.append(request.url))
        page.on("console", lambda message: seen.append(f"console: {message.text}"))
        page.on("dialog", lambda dialog: seen.append(f"dialog: {dialog.message}"))
        page.goto(written.as_uri())
        yield page, seen
        browser.close()


def test_page_loads_nothing_but_itself_and_runs_nothing(opened, written: Path) -> None:
    """One request, for its own file; what a sender wrote into the evidence stays text."""
    page, seen = opened
    assert seen == [written.as_uri()]
    assert page.locator("script, img, link, iframe").count() == 0
    assert "<img src=x onerror=alert(1)>" in page.locator("#events").inner_text()


def test_page_tells_every_event_in_both_languages_with_the_words_that_were_shown(opened) -> None:
    """Registration, two contracts, grant and withdrawal; the grant leads to the exact text in the annex (R04)."""
    page, _ = opened
    assert page.locator("#events > li").count() == 5
    grant = page.locator("#events > li").nth(3)
    assert grant.locator("p[lang=zh]").inner_text().startswith("本人同意“P07")
    assert grant.locator("p[lang=en]").inner_text().startswith("The person consented to “P07")
    grant.locator("a").click()
    annex = page.locator("article").inner_text()
    assert "健康画像" in annex
    assert "SHA-256" in annex
    assert html.unescape(page.locator("article h3").inner_text())
    assert page.locator("article h4").first.inner_text().startswith("个人信息处理者")
    assert "Controller" in page.locator("article h4").first.inner_text()
    columns = page.locator("article th").all_inner_texts()
    assert columns[0].startswith("个人信息")
    assert not {"item", "retention", "recipient"} & set(columns)


def test_page_shows_what_state_each_decision_was_in(opened) -> None:
    """The heading promises the state, and a withdrawal among the rows is marked as closed (R15)."""
    page, _ = opened
    assert page.locator("h2").first.inner_text().startswith("当时的状态")
    rows = page.locator("#now tbody tr").all_inner_texts()
    assert ["未开放" in row for row in rows if row.startswith("P07")] == [True]
    assert ["在有效期内" in row for row in rows if row.startswith("P01")] == [True]
    assert all("2026-11-21 10:00:00" in row and "+08:00" in row for row in rows)


def test_page_prints_on_a4_and_fits_its_width(opened) -> None:
    """Nothing sticks out sideways on the screen; printed it has pages with the annex on one of its own."""
    page, _ = opened
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('article')).breakBefore") == "page"
    assert page.pdf(format="A4")[:5] == b"%PDF-"
