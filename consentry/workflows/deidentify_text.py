"""De-identify texts that a caller sends; what they hold is neither stored nor logged."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from audit.events import Act, Event, Outcome
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.text_profiles import TextTask
from consentry.workflows.denials import check_allowed
from deid.text import Scrubbed
from kernel.errors import BadInput

MAX_TEXTS: Final = 100
MAX_CHARACTERS: Final = 200_000
"""Of all texts of one call: some seconds of one core at worst; files go through `consentry deid text`."""


@dataclass(frozen=True, slots=True)
class Deidentified:
    """What became of the texts of one call, and the entry that tells of it."""

    texts: tuple[Scrubbed, ...] = field(repr=False)
    entry_id: str


def deidentify_texts(platform: Platform, caller: Principal, texts: Sequence[str], *, task: TextTask) -> Deidentified:
    """De-identify texts, and return them once their entry is under a signed checkpoint.

    Args:
        platform: every part.
        caller: who sends them.
        texts: at most a hundred, together at most 200,000 characters.
        task: what is done with each.

    Raises:
        Denied: the caller's role lists no ``text.deidentify``; the try is logged.
        NotFound: there is no such profile.
        BadInput: more than is taken in one call, or the profile needs a scope or days to move by.
        Unavailable: the log cannot be written; nothing is answered.
    """
    check_allowed(platform, caller, "text.deidentify")
    work = task.prepared(platform.pseudonyms)
    characters = sum(map(len, texts))
    if len(texts) > MAX_TEXTS or characters > MAX_CHARACTERS:
        raise BadInput(
            f"{len(texts)} texts of {characters} characters are too many for one call",
            hint=f"Send at most {MAX_TEXTS} texts of {MAX_CHARACTERS} characters together.",
        )
    done = tuple(work.apply(text) for text in texts)
    asking = platform.asking(caller)
    event = Event(
        Act.TEXT_DEIDENTIFIED, Outcome.DONE, asking.actor, asking.role, asking.request_id, refs=task.refs,
        counts={
            "texts": len(done),
            "characters": characters,
            "found": sum(len(one.spans) for one in done),
            "withheld": sum(one.is_withheld for one in done),
        },
    )  # fmt: skip
    return Deidentified(done, platform.log.write(event).entry_id)
