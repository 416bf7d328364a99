"""The exact texts of notices, for everybody: their bytes are what was hashed."""

from typing import Annotated, Any, Final

from fastapi import Header, Path, Query, Response

from consent.notices import PublishedNotice, current_notice, get_notice
from consentry.acts import Code, Locale
from consentry.api.dependencies import PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router

router = new_router("notices", is_open=True, for_pages=True)

_FOREVER: Final = "public, max-age=31536000, immutable"
_TEXT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The canonical JSON that was published; its SHA-256 is the `ETag`",
        "content": {"application/json": {"schema": {"type": "object"}}},
        "headers": {"ETag": {"schema": {"type": "string"}, "description": "The text's SHA-256, in quotes"}},
    },
    304: {"description": "The text is the one that the caller has"},
}

Tag = Annotated[str | None, Header(alias="If-None-Match", max_length=1000)]
Version = Annotated[str, Path(pattern=r"^[0-9]{4}-[0-9]{2}(\.[0-9]{1,3})?$", examples=["2026-11"])]


@router.get("/notices/{code}/current", responses=responses(404) | _TEXT, response_class=Response)
def get_current(
    code: Code, platform: PlatformHere, locale: Annotated[Locale, Query()] = "zh-CN", if_none_match: Tag = None
) -> Response:
    """Return the text to show now, in a locale."""
    with platform.data.read() as connection:
        found = current_notice(connection, code, locale)
    return _answer(found, if_none_match, cache="no-cache")


@router.get("/notices/{code}/{version}/{locale}", responses=responses(404) | _TEXT, response_class=Response)
def get_exact(
    code: Code, version: Version, locale: Locale, platform: PlatformHere, if_none_match: Tag = None
) -> Response:
    """Return one version's text, byte for byte as it was published (R04)."""
    with platform.data.read() as connection:
        found = get_notice(connection, code, version, locale)
    return _answer(found, if_none_match, cache=_FOREVER)


def _answer(notice: PublishedNotice, known: str | None, *, cache: str) -> Response:
    tag = f'"{notice.hash}"'
    headers = {"ETag": tag, "Cache-Control": cache, "Content-Language": notice.ref.locale}
    held = [one.strip().removeprefix("W/") for one in (known or "").split(",")]
    if tag in held or "*" in held:
        return Response(status_code=304, headers=headers)
    return Response(notice.content, media_type="application/json", headers=headers)
