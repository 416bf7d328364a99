"""Organisations in runs of capitalised words: by what they end or begin with, and by the words around."""

import re
from functools import cache
from typing import Final

from deid.text.english import context
from deid.text.english.letters import CAPITAL, LETTER
from deid.text.english.names import is_family, is_given, is_unlisted
from deid.text.english.runs import Run
from deid.text.kinds import Kind
from deid.text.lists.english import cue, is_word
from deid.text.lists.reading import alternation
from deid.text.spans import Hit


@cache
def _legal() -> re.Pattern[str]:
    return re.compile(rf",? ?(?:{alternation(cue('legal'))})(?![{LETTER}])\.?", re.IGNORECASE)


_JOINED: Final = re.compile(rf"(?:, [{CAPITAL}][{LETTER}'’-]+)?,? (?:and|&) [{CAPITAL}][{LETTER}'’-]+")
_THREE: Final = re.compile(rf", [{CAPITAL}][{LETTER}'’-]+,? (?:and|&) [{CAPITAL}][{LETTER}'’-]+")
_PEOPLE_BEFORE: Final = re.compile(
    r"(?:[:,]|(?<![a-z])(?:by|with|and|to|for|are|were|met|meet|siblings|children|sons|daughters)) \Z"
)
_AT: Final = re.compile(r"(?<![a-z])at (?:the )?\Z")
_PARTNERS: Final = re.compile(
    rf"(?<![{LETTER}'’-])(?:[{CAPITAL}][{LETTER}'’-]{{1,30}}, ){{0,2}}[{CAPITAL}][{LETTER}'’-]{{1,30}},? (?:and|&) \Z"
)
_LEAD: Final = re.compile(r"[?*>• -]{0,4}")
_ABOVE: Final = re.compile(rf"[?*>• -]{{0,4}}[{CAPITAL}][{LETTER}.,'’-]*(?: [{LETTER}.,'’-]+){{0,5}}")
_NUMBER: Final = re.compile("[0-9]")
_LINE: Final = 60
_HEADING: Final = 3
_OF: Final = re.compile(rf" (?:of|for|at) (?:the )?[{CAPITAL}][{LETTER}'’-]+(?: [{CAPITAL}][{LETTER}'’-]+){{0,3}}")


def organisation(run: Run) -> Hit | None:
    """Return the organisation that a run names, with what is joined to it; None where it names none."""
    whole = run
    while run.tokens and run.tokens[0].plain in cue("no_names"):
        run = run.part(1, len(run.tokens))
    if not run.tokens:
        return None
    tokens = run.tokens
    legal = _legal().match(run.text, run.end)
    if legal is not None and legal.group()[:1] in ", ":
        return _hit(_first_partner(run), legal.end(), 0.85)
    last = tokens[-1].plain
    if last in cue("legal") and len(tokens) > 1:
        return _hit(_first_partner(run), run.end + run.after.startswith("."), 0.85)
    if last in cue("organisations") and len(tokens) > 1 and not _is_heading(whole) and not _is_usual(run):
        return _hit(run.start, run.end, 0.75)
    if last in cue("organisation_heads") and (of := _OF.match(run.text, run.end)) is not None:
        return _hit(run.start, of.end(), 0.75)
    return _by_context(run)


def _first_partner(run: Run) -> int:
    """Return where a firm of several names begins whose last ones are the run."""
    begin = max(0, run.start - _LINE)
    partners = _PARTNERS.search(run.text, begin, run.start)
    return run.start if partners is None else partners.start()


def _hit(start: int, end: int, score: float) -> Hit:
    return Hit(start, end, Kind.ORGANIZATION, score, checked=False, source="english.organisation")


def _is_heading(run: Run) -> bool:
    """Whether it is a heading or a usual phrase rather than a name: plain words at the beginning of a line."""
    if run.tokens[0].plain == "the" and len(run.tokens) > _HEADING:
        return False
    return run.opens_sentence and all(is_word(token.plain) and not is_family(token) for token in run.tokens[:-1])


def _is_usual(run: Run) -> bool:
    """Whether it is a kind of place rather than one of them: ``Emergency Department``."""
    usual = cue("organisations") | cue("organisation_words") | cue("usual")
    return all(token.plain in usual for token in run.tokens)


def _by_context(run: Run) -> Hit | None:
    if _is_surnames(run) and (three := _THREE.match(run.text, run.end)) and not _PEOPLE_BEFORE.search(run.before):
        return _hit(run.start, three.end(), 0.7)
    if _is_in_letterhead(run) and not _is_person(run):
        return _hit(run.start, run.end, 0.6)
    joined = _JOINED.match(run.text, run.end)
    end = joined.end() if joined is not None and _is_surnames(run) else run.end
    is_behind = context.FIRM_BEHIND.match(run.text, end) is not None and not run.tokens[-1].is_initial
    if context.SURE_FIRM.search(run.before) and not _is_person(run):
        return _hit(run.start, end, 0.7)
    if is_behind and not _is_person(run):
        return _hit(run.start, end, 0.65)
    if _AT.search(run.before) and not run.is_in_place and not _is_person(run):
        is_name = any(is_unlisted(token) for token in run.tokens) or end > run.end
        return _hit(run.start, end, 0.55) if is_name else None
    return None


def _is_in_letterhead(run: Run) -> bool:
    """Whether it is a line by itself, below one of a few words in capitals and above one with a number."""
    line = run.text.rfind("\n", max(0, run.start - _LINE), run.start) + 1
    if not line or not _LEAD.fullmatch(run.text, line, run.start) or not run.after.startswith("\n"):
        return False
    above = run.text[max(0, line - 1 - _LINE) : line - 1].rpartition("\n")[2]
    below = run.text[run.end + 1 : run.end + 1 + _LINE].partition("\n")[0]
    return _ABOVE.fullmatch(above) is not None and _NUMBER.search(below) is not None and ":" not in below


def _is_surnames(run: Run) -> bool:
    return len(run.tokens) == 1 and is_family(run.tokens[0])


def _is_person(run: Run) -> bool:
    return is_given(run.tokens[0]) and not is_word(run.tokens[0].plain)
