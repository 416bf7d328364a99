"""The exact texts of notices over HTTP, for everybody."""

from hashlib import sha256

import pytest


def test_exact_text_is_what_was_hashed(call, captured, medical):
    """R04: anybody can fetch the text of a grant, byte for byte; its hash is the tag."""
    captured.person("u-1")
    granted = captured.grant("u-1", "P07")
    with captured.platform.data.read() as connection:
        made = captured.platform.registry.get(connection, granted)
    said = call().get(f"/notices/{made.notice.code}/{made.notice.version}/{made.notice.locale}")
    assert said.status_code == 200
    assert sha256(said.content).hexdigest() == made.notice_hash
    assert said.headers["etag"] == f'"{made.notice_hash}"'
    assert said.headers["content-type"] == "application/json"
    assert said.headers["content-language"] == made.notice.locale
    assert "immutable" in said.headers["cache-control"]
    assert said.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_current_text_is_the_newest_edition(call, locale):
    """The text to show now is found by its code and locale, and asked for anew each time."""
    said = call().get("/notices/profiling/current", locale=locale)
    assert (said.json()["code"], said.json()["locale"]) == ("profiling", locale)
    assert said.headers["cache-control"] == "no-cache"
    exact = call().get(f"/notices/profiling/{said.json()['version']}/{locale}")
    assert exact.content == said.content


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
def test_known_text_is_not_sent_again(call, known):
    """Whoever has the text gets an empty answer."""
    path = "/notices/profiling/current"
    tag = call().get(path).headers["etag"]
    said = call().get(path, more={"If-None-Match": known.format(tag)})
    assert (said.status_code, said.content, said.headers["etag"]) == (304, b"", tag)
    assert call().get(path, more={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/notices/profiling/2025-01/zh-CN", "/notices/nothing/2026-11/zh-CN", "/notices/nothing/current"]
)
def test_unpublished_text_is_not_found(call, refused, path):
    """Only what was published can be shown."""
    refused(call().get(path), 404, "NotFound")


def test_translation_that_is_not_there_is_not_found(call, refused):
    """Another locale than those published has no text."""
    refused(call().get("/notices/profiling/current", locale="fr"), 404, "NotFound")
    refused(call().get("/notices/profiling/current", locale="Chinese"), 422, "InvalidRequest")
