"""Names of persons in runs of capitalised words: by lists of names, by titles and cues, and by not being words."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from deid.text.english import context
from deid.text.english.letters import CAPITAL, LETTER
from deid.text.english.runs import Run, Token
from deid.text.kinds import Kind
from deid.text.lists.english import cue, given_names, is_word, places, surnames
from deid.text.spans import Hit

PLAIN_TITLES: Final = frozenset(("mr", "mrs", "ms", "dr", "prof", "rev", "herr", "frau", "mme", "mlle"))
"""Titles that are nothing else; behind the others a name is one only if it is no word."""

_MEDICAL: Final = re.compile(
    r"(?:itis|osis|emia|aemia|ectomy|otomy|ostomy|plasty|scopy|graph[yi]?|gram|algia|oma|pathy|plegia|uria|pnea"
    r"|rrhea|rrhagia"
    r"|megaly|ism|genic|lysis|trophy|cyte|phil|penia|pril|sartan|olol|statin|azole|cillin|m[yi]cin|cycline"
    r"|floxacin|mab|nib|vir"
    r"|zepam|zolam|pine|prazole|tidine|gliptin|glutide|flozin|formin|ine|one|ide|ate|ium|ic|ous|ase|oid|tomy|oxin"
    r"|parin|cept"
    r"|ology|logist|grapher|ician|scope|stomy|dipine|lukast|triptan|setron|afil|dronate|profen|oxetine|terol"
    r"|asone|olone)s?\Z"
)
"""Endings of findings, procedures and medicines."""

_LAST_WORD: Final = re.compile(rf"[^{LETTER}]")
_OF_A_PEOPLE: Final = re.compile(r"(?:ian|ese|ish)\Z")
_I_AM: Final = re.compile(r"(?:am|'m|’m) \Z")
_CONTRACTED: Final = re.compile(r"['’](?:re|d|ll|ve|m|t|mon|all|em|tis|cause)\Z", re.IGNORECASE)
_LISTED_BEFORE: Final = re.compile(rf"[{LETTER}]{{3,}},? (?:and |& )?\Z")
_LISTED_BEHIND: Final = re.compile(rf"(?:, |,? and |,? & )[{CAPITAL}]")
"""A list of names."""

_SHORTEST: Final = 3
_LONG: Final = 4
_NAMES_IN_ROW: Final = 4


def persons(run: Run) -> Iterator[Hit]:
    """Yield the persons that a run names; possessive endings part a run."""
    begin = 0
    for place, token in enumerate(run.tokens, start=1):
        if token.is_possessive or place == len(run.tokens):
            hit = _person(run.part(begin, place))
            if hit is not None:
                yield hit
            begin = place


def _person(run: Run) -> Hit | None:
    title = _titled(run)
    core = run.part(title, len(run.tokens) - _ends_in_label(run))
    if not core.tokens:
        return None
    is_titled = bool(title) or _is_behind_title(core)
    is_office = _plain_title(run, title) not in PLAIN_TITLES
    trimmed = _trimmed(core, keeps_words=is_titled and not is_office)
    if trimmed is None:
        return None
    return _judged(trimmed, is_titled=is_titled, is_office=is_office)


def _ends_in_label(run: Run) -> bool:
    """Whether its last word is a label of what follows: ``Jane  Sex: F``."""
    return len(run.tokens) > 1 and run.after.startswith(":") and is_word(run.tokens[-1].plain)


def _judged(core: Run, *, is_titled: bool, is_office: bool) -> Hit | None:
    if context.CLINICAL.match(core.after) and core.tokens[-1].plain in _eponyms():
        return None
    is_code = len(core.tokens) == 1 and core.tokens[0].is_capitals and len(core.tokens[0].plain) <= _LONG
    if is_titled and not is_code and (not is_office or _looks_like_name(core.tokens[0])):
        return _hit(core, "english.title", 0.85)
    score = _score_of_several(core) if len(core.tokens) > 1 else _score_of_one(core)
    return _hit(core, "english.name", score) if score else None


def _hit(run: Run, source: str, score: float) -> Hit:
    return Hit(run.start, run.end, Kind.PERSON, score, checked=False, source=source)


@cache
def _eponyms() -> frozenset[str]:
    return frozenset(name.removesuffix("'s") for name in cue("eponyms"))


def _titled(run: Run) -> int:
    """Return how many tokens at the beginning are titles."""
    count = 0
    while count < len(run.tokens) and run.tokens[count].plain in cue("titles"):
        count += 1
    return count


def _is_behind_title(run: Run) -> bool:
    """Whether a title stands before it in the same line, with a dot or without."""
    before = run.before
    return before.endswith(" ") and not before.endswith("   ") and _last_word(before) in cue("titles")


def _last_word(before: str) -> str:
    return _LAST_WORD.split(before.rstrip(" ").removesuffix("."))[-1]


def _plain_title(run: Run, title: int) -> str:
    if title:
        return run.tokens[title - 1].plain
    return _last_word(run.before)


@cache
def _no_names() -> frozenset[str]:
    return cue("no_names") | cue("products") | cue("clinical")


def is_given(token: Token) -> bool:
    """Whether it is a given name, be it a word as well."""
    return token.plain in given_names() or token.plain in cue("words_first") or _all_parts(token, given_names())


def _is_doubtful(token: Token) -> bool:
    return token.plain in cue("words_first")


def is_family(token: Token) -> bool:
    """Whether it is a surname."""
    return token.plain in surnames() or _all_parts(token, surnames())


def _all_parts(token: Token, names: frozenset[str]) -> bool:
    return "-" in token.plain and all(part in names for part in token.plain.split("-"))


def is_unlisted(token: Token) -> bool:
    """Whether nothing is known of it: no word, no place, no product, no medical term, no abbreviation."""
    plain = token.plain.removesuffix("'s")
    if len(plain) < _SHORTEST or token.is_initial or plain in _no_names() or plain in _eponyms() or plain in places():
        return False
    if any(is_word(part) for part in (plain, *plain.split("-"))) or any(map(str.isdigit, plain)):
        return False
    is_code = token.is_capitals or not token.written[1:].islower()
    return not _MEDICAL.search(plain) and not (is_code and not _is_compound(token.written))


_COMPOUND: Final = re.compile(
    r"['’-]|(?<=\AMc)|(?<=\AMac)|(?<=\A[DL]e)|(?<=\A[DLV][aiu])|(?<=\AVan)|(?<=\AFitz)|(?<=\ASt)"
)


def _is_compound(written: str) -> bool:
    """Whether capitals inside are those of ``McDonald``, ``O'Neill``, ``Jean-Luc``, or of a name all in capitals."""
    if written.isupper():
        return len(written) > _LONG + 1
    return all(part[1:].islower() for part in _COMPOUND.split(written) if len(part) > 1)


def _looks_like_name(token: Token) -> bool:
    return is_given(token) or (is_family(token) and not is_word(token.plain)) or is_unlisted(token)


def _trimmed(run: Run, *, keeps_words: bool) -> Run | None:
    """Return the run without words at its ends that are no names; None where none is left."""
    tokens = run.tokens
    begin, end = 0, len(tokens)
    while begin < end and _goes_first(run, begin, keeps_words=keeps_words):
        begin += 1
    while end > begin and _goes_last(tokens, begin, end, keeps_words=keeps_words):
        end -= 1
    return run.part(begin, end) if begin < end else None


def _goes_first(run: Run, place: int, *, keeps_words: bool) -> bool:
    token = run.tokens[place]
    if _is_no_name(token) and not (keeps_words and token.written[0].islower()):
        return True
    if keeps_words or token.is_initial:
        return False
    following = run.tokens[place + 1] if place + 1 < len(run.tokens) else None
    if _is_doubtful(token):
        return following is not None and is_given(following) and run.opens_sentence and place == 0
    if not is_word(token.plain) or token.plain in given_names():
        return False
    if following is None:
        return not is_family(token) or run.opens_sentence
    return not (following.is_initial or run.is_introduced)


def _goes_last(tokens: tuple[Token, ...], begin: int, end: int, *, keeps_words: bool) -> bool:
    token = tokens[end - 1]
    if _is_no_name(token) or token.plain in cue("degrees"):
        return True
    if keeps_words or (token.is_initial and end - begin > 1):
        return False
    if end - begin > 1 and any(other.is_initial for other in tokens[begin : end - 1]):
        return False
    return is_word(token.plain) and not is_family(token) and not is_given(token)


def _is_no_name(token: Token) -> bool:
    if token.is_initial and token.written.endswith("."):
        return False
    is_known = token.plain in _no_names() or token.plain in cue("titles")
    return is_known or _CONTRACTED.search(token.written) is not None or token.written[0].islower()


def _score_of_several(run: Run) -> float:
    """Return how sure it is that two words or more are a name; 0 where they are none."""
    tokens = run.tokens
    if len(tokens) > _NAMES_IN_ROW + 1:
        return 0.0
    words = [token for token in tokens if is_word(token.plain) and not (is_given(token) or token.is_initial)]
    words = [token for token in words if token.written[0].isupper()]
    if tokens[0].plain in given_names() and not _is_doubtful(tokens[0]) and len(words) <= 1:
        return 0.85
    is_cued = run.is_introduced
    has_initial = any(token.is_initial for token in tokens[1:-1])
    if words and not (len(words) == 1 and (is_cued or has_initial or (is_family(words[0]) and is_given(tokens[0])))):
        return 0.0
    if is_cued or any(is_given(token) for token in tokens) or has_initial:
        return 0.8
    if all(
        is_family(token) or is_unlisted(token) or token.is_initial or token.written[0].islower() for token in tokens
    ):
        return 0.6 if any(is_family(token) for token in tokens) else 0.55
    return 0.0


def _score_of_one(run: Run) -> float:
    """Return how sure it is that one word is a name; 0 where it is none."""
    token = run.tokens[0]
    is_cued = run.is_introduced
    is_short = len(token.plain) < _SHORTEST and not (is_cued and token.plain in surnames())
    if is_short or token.is_initial or token.plain == "st" or token.plain in cue("months"):
        return 0.0
    if _is_doubtful(token):
        return _score_of_doubtful(run, is_cued=is_cued)
    if token.plain in given_names():
        return 0.75 if is_cued or not run.opens_sentence else 0.65
    if is_family(token) and not token.is_capitals:
        return _score_of_surname(run, is_cued=is_cued)
    return _score_of_unlisted(run, is_cued=is_cued) if is_unlisted(token) else 0.0


def _score_of_doubtful(run: Run, *, is_cued: bool) -> float:
    """Score a given name that is a word above all."""
    token = run.tokens[0]
    if is_cued:
        return 0.6
    if run.opens_sentence:
        return 0.0
    if context.ACTS.match(run.after) or context.PERSONAL.search(run.before):
        return 0.6
    is_thing = token.plain in cue("titles") or run.before.endswith("the ") or token.is_capitals
    return 0.0 if is_thing else 0.5


def _score_of_surname(run: Run, *, is_cued: bool) -> float:
    if is_cued:
        return 0.7
    if not is_word(run.tokens[0].plain):
        return 0.6
    is_named = _LISTED_BEFORE.search(run.before) and (run.before.endswith("and ") or _LISTED_BEHIND.match(run.after))
    return 0.5 if is_named and not run.opens_sentence else 0.0


def _score_of_unlisted(run: Run, *, is_cued: bool) -> float:
    """Score a word of which nothing is known, which at the beginning of a sentence is more often a term."""
    token = run.tokens[0]
    if is_cued:
        return 0.0 if _OF_A_PEOPLE.search(token.plain) and _I_AM.search(run.before) else 0.7
    if token.is_capitals:
        return 0.0
    if not run.opens_sentence:
        return 0.55
    return 0.5 if token.is_possessive or context.ACTS.match(run.after) or run.after[:1] in ":,\n" else 0.0
