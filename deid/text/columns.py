"""Scrub a column of texts: pandas series and Arrow arrays, whole or in chunks, with nulls and dictionaries.

The column that comes back has the type, length, nulls, index and name of the one that was given. A value that occurs
often in a dictionary (or category) is scrubbed once.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from deid.text.spans import Scrubbed
from kernel.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class ScrubsMany(Protocol):
    """A scrubber, or a pool of them."""

    def scrub_many(self, texts: Iterable[str]) -> Iterable[Scrubbed]:
        """Return the texts scrubbed, in their order."""
        ...


def scrub_arrow(column: "pa.Array | pa.ChunkedArray", scrubber: ScrubsMany) -> "pa.Array | pa.ChunkedArray":
    """Return an Arrow column of texts with marks in the place of identifiers.

    Args:
        column: of type ``string``, ``large_string``, ``string_view``, or a dictionary of one of these.
        scrubber: a ``TextScrubber`` or a ``ScrubberPool``.

    Raises:
        BadInput: the column holds no texts, or bytes that are none.
    """
    import pyarrow as pa

    is_chunked = isinstance(column, pa.ChunkedArray)
    chunks: Sequence[pa.Array] = column.chunks if is_chunked else [column]
    if pa.types.is_dictionary(column.type):
        _check_type(column.type.value_type)
        scrubbed = [_dictionary(chunk, scrubber) for chunk in chunks]
    else:
        _check_type(column.type)
        scrubbed = _plain(chunks, scrubber)
    return pa.chunked_array(scrubbed, type=column.type) if is_chunked else scrubbed[0]


def scrub_series(series: "pd.Series[str]", scrubber: ScrubsMany) -> "pd.Series[str]":
    """Return a pandas series of texts with marks in the place of identifiers; missing values stay as they are.

    Args:
        series: of strings in whatever dtype, or categorical.
        scrubber: a ``TextScrubber`` or a ``ScrubberPool``.

    Raises:
        BadInput: a value is neither a text nor missing; told by its position.
    """
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        names, places = _merged(_scrubbed(_checked(series.cat.categories.tolist()), scrubber))
        codes = [-1 if code < 0 else places[code] for code in series.cat.codes]
        made = pd.Categorical.from_codes(codes, categories=pd.Index(names), ordered=series.cat.ordered)
        return pd.Series(made, index=series.index, name=series.name)
    values, missing = series.tolist(), series.isna().tolist()
    present = _checked([None if is_missing else value for value, is_missing in zip(values, missing, strict=True)])
    answers = iter(_scrubbed((text for text in present if text is not None), scrubber))
    filled = [value if text is None else next(answers) for value, text in zip(values, present, strict=True)]
    return pd.Series(filled, index=series.index, name=series.name, dtype=series.dtype)


def _checked(values: Sequence[object]) -> "list[str | None]":
    checked: list[str | None] = []
    for position, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise BadInput(f"Value {position} is a {type(value).__name__}", hint="Give a column of texts.")
        checked.append(value)
    return checked


def _check_type(given: "pa.DataType") -> None:
    import pyarrow as pa

    if not (pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given)):
        raise BadInput(f"A column of {given} holds no texts", hint="Give strings, or a dictionary of them.")


def _plain(chunks: "Sequence[pa.Array]", scrubber: ScrubsMany) -> "list[pa.Array]":
    """Scrub all chunks as one run of texts, so that several processes are kept busy across their borders."""
    import pyarrow as pa

    answers = iter(_scrubbed((text for chunk in chunks for text in _texts(chunk) if text is not None), scrubber))
    return [
        pa.array([next(answers) if valid else None for valid in chunk.is_valid().to_pylist()], type=chunk.type)
        for chunk in chunks
    ]


def _dictionary(chunk: "pa.DictionaryArray", scrubber: ScrubsMany) -> "pa.DictionaryArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = list(_texts(chunk.dictionary))
    names, places = _merged(_scrubbed((text for text in texts if text is not None), scrubber))
    numbers = iter(places)
    moved = pa.array([None if text is None else next(numbers) for text in texts], type=chunk.type.index_type)
    values = pa.array(names, type=chunk.type.value_type)
    return pa.DictionaryArray.from_arrays(pc.take(moved, chunk.indices), values, ordered=chunk.type.ordered)


def _texts(chunk: "pa.Array") -> "Iterator[str | None]":
    try:
        yield from chunk.to_pylist()
    except UnicodeDecodeError as err:
        position = err.start
    else:
        return
    raise BadInput(f"A text is not UTF-8 at its byte {position}", hint="Give a column of texts.")


def _scrubbed(texts: "Iterable[str | None]", scrubber: ScrubsMany) -> Iterator[str]:
    return (scrubbed.text for scrubbed in scrubber.scrub_many(text for text in texts if text is not None))


def _merged(texts: Iterable[str]) -> tuple[list[str], list[int]]:
    """Return the texts once each, and where each of those given stands among them."""
    places: dict[str, int] = {}
    moved = [places.setdefault(text, len(places)) for text in texts]
    return list(places), moved
