"""What a file is, by its first bytes and by its name; nothing is unpacked and nothing is rendered."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

from kernel.errors import BadInput

HEAD_BYTES: Final = 256
"""As many of a file's first bytes as the test needs."""

_MAX_NAME: Final = 255
_TEXT_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def _starts(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(beginnings)


def _is_riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[:4] == b"RIFF" and head[8:12] == form


def _is_iso_media(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


def _is_mpeg_audio(head: bytes) -> bool:
    return head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)  # noqa: PLR2004 - frame sync


def _is_text(head: bytes) -> bool:
    return _TEXT_CONTROLS.search(head) is None


_SIGNS: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "application/dicom": lambda head: head[128:132] == b"DICM",
    "application/pdf": _starts(b"%PDF-"),
    "audio/mp4": _is_iso_media,
    "audio/mpeg": _is_mpeg_audio,
    "audio/ogg": _starts(b"OggS"),
    "audio/wav": _is_riff(b"WAVE"),
    "image/jpeg": _starts(b"\xff\xd8\xff"),
    "image/png": _starts(b"\x89PNG\r\n\x1a\n"),
    "image/tiff": _starts(b"II*\x00", b"MM\x00*"),
    "image/webp": _is_riff(b"WEBP"),
    "text/plain": _is_text,
    "video/mp4": _is_iso_media,
    "video/webm": _starts(b"\x1a\x45\xdf\xa3"),
}
"""How each media type of ``kernel.catalogue.ATTACHMENT_MEDIA`` begins.

Source: DICOM PS3.10 section 7.1, ISO 32000 section 7.5.2, ISO/IEC 14496-12 section 4.3, RFC 3533 section 6.
"""


def check_begins_as(media_type: str, head: bytes) -> None:
    """Raise ``BadInput`` where a file does not begin as its type says; a type without a known sign passes."""
    sign = _SIGNS.get(media_type)
    if sign is not None and not sign(head):
        raise BadInput("The file does not begin as its media type says", hint="Send the type that it is of.")


def media_type_of(text: str) -> str:
    """Return a media type without its parameters, in lower case."""
    return text.partition(";")[0].strip().lower()


def clean_name(text: str) -> str:
    """Return a file's own name: without folders, normalised, and nothing in it that cannot be seen.

    Raises:
        BadInput: nothing is left, or it is longer than 255 characters.
    """
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", text)[-1]).strip()
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in name):
        raise BadInput("A file's name holds characters that cannot be seen", hint="Rename the file.")
    if name in {"", ".", ".."} or len(name) > _MAX_NAME:
        raise BadInput(f"A file's name has 1 to {_MAX_NAME} characters", hint="Rename the file.")
    return name
