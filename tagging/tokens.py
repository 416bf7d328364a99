"""From text to words: the first of two fences around sqlglot, which by itself parses far more than the language.

A token that the language does not have never reaches the parser, and every word that is no keyword of the language
reaches it as a plain name with a prefix of ours: whatever ``if``, ``interval`` or ``read_csv`` mean in SQL, sqlglot
never sees them.
"""

import re
from typing import TYPE_CHECKING, Final

from tagging.errors import ExpressionError
from tagging.syntax import Place

if TYPE_CHECKING:
    from sqlglot import Token

MAX_LENGTH: Final = 4000
MAX_TOKENS: Final = 400
MAX_NESTING: Final = 12
"""Bounds that keep the recursive descent of parser and evaluators far from the interpreter's limit."""

KEYWORDS: Final = frozenset(
    {"AND", "OR", "NOT", "IN", "BETWEEN", "IS", "NULL", "TRUE", "FALSE", "CASE", "WHEN", "THEN", "ELSE", "END"}
)
_SYMBOLS: Final = frozenset({"(", ")", ",", "=", "<>", "!=", "<", "<=", ">", ">=", "+", "-", "*"})
_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_NUMBER: Final = re.compile(r"[0-9]{1,14}(\.[0-9]{1,4})?")


_PREFIX: Final = "name_"


def name_in(word: str) -> str:
    """Return the name that a word of the parser's tree stands for."""
    return word.removeprefix(_PREFIX)


def place_of(text: str, offset: int) -> Place:
    """Return the line and column of an offset in characters."""
    return Place(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def is_name(word: str) -> bool:
    """Say whether a word can be the name of a column or a tag: lower case, and no keyword."""
    return _NAME.fullmatch(word) is not None and word.upper() not in KEYWORDS


def tokenise(text: str) -> list["Token"]:
    """Split an expression into tokens that the language has.

    Raises:
        ExpressionError: a token, comment, number or nesting that it does not have; with the place.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError("the expression is too long", Place(1, 1), expected=f"at most {MAX_LENGTH} characters")
    if (bad := _NOT_TEXT.search(text)) is not None:
        raise ExpressionError("a control character or half of one", place_of(text, bad.start()), expected="plain text")
    raw = _raw_tokens(text)
    if len(raw) > MAX_TOKENS:
        at = place_of(text, raw[MAX_TOKENS].start)
        raise ExpressionError("the expression has too many words", at, expected=f"at most {MAX_TOKENS}")
    _check_gaps(text, raw)
    if not raw:
        raise ExpressionError("there is no expression", Place(1, 1), expected="a condition or a value")
    _check_nesting(text, raw)
    _check_branches(text, raw)
    return [_admitted(text, token) for token in raw]


def _raw_tokens(text: str) -> list["Token"]:
    from sqlglot import tokenize
    from sqlglot.errors import TokenError

    try:
        return tokenize(text)
    except TokenError:
        at = place_of(text, _open_quote(text))
        raise ExpressionError("a text is not closed", at, expected="a second quote at its end") from None


def _open_quote(text: str) -> int:
    """Return the offset of the quote that opens the last text; doubled quotes close and open again."""
    quotes = [offset for offset, character in enumerate(text) if character == "'"]
    return quotes[-1] if len(quotes) % 2 else 0


def _check_gaps(text: str, tokens: list["Token"]) -> None:
    """Check that between tokens stands white space only: the tokeniser drops comments there."""
    end = 0
    for token in tokens:
        _check_blank(text, end, token.start)
        end = token.end + 1
    _check_blank(text, end, len(text))


def _check_blank(text: str, start: int, end: int) -> None:
    between = text[start:end]
    if between.strip(" \t\r\n"):
        offset = start + len(between) - len(between.lstrip(" \t\r\n"))
        raise ExpressionError("there are no comments in the language", place_of(text, offset), expected="nothing here")


def _check_nesting(text: str, tokens: list["Token"]) -> None:
    depth, chain = 0, 0
    for token in tokens:
        word = token.text.upper() if token.token_type.name != "STRING" else ""
        depth += (word in {"(", "CASE"}) - (word in {")", "END"})
        chain = chain + 1 if word in {"NOT", "-"} else 0
        if depth > MAX_NESTING or chain > MAX_NESTING:
            at = place_of(text, token.start)
            raise ExpressionError("nested too deeply", at, expected=f"at most {MAX_NESTING} levels; use tag('…')")


def _check_branches(text: str, tokens: list["Token"]) -> None:
    """Check that every WHEN has its THEN: sqlglot takes a value beside the condition as well."""
    words = [token.token_type.name for token in tokens]
    if words.count("WHEN") != words.count("THEN"):
        at = place_of(text, tokens[words.index("WHEN") if "WHEN" in words else words.index("THEN")].start)
        raise ExpressionError("WHEN and THEN do not pair", at, expected="CASE WHEN condition THEN value … END")


def _admitted(text: str, token: "Token") -> "Token":
    from sqlglot import Token, TokenType

    source = text[token.start : token.end + 1]
    if token.token_type == TokenType.STRING and source.startswith("'"):
        return token
    if source in _SYMBOLS or source.upper() in KEYWORDS:
        return token
    if _NAME.fullmatch(source):
        return Token(TokenType.VAR, _PREFIX + source, token.line, token.col, token.start, token.end)
    if token.token_type == TokenType.NUMBER and _NUMBER.fullmatch(source):
        return token
    raise ExpressionError(f"{source[:40]!r} is not part of the language", place_of(text, token.start), expected=_WORDS)


_WORDS: Final = (
    "a lower-case name, a 'text', a number of at most 14 digits and 4 decimals, or one of "
    + " ".join(sorted(_SYMBOLS))
    + " "
    + " ".join(sorted(KEYWORDS))
)
