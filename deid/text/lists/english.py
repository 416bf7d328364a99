"""English words, names and places, each read when it is first asked for; all in small letters."""

from functools import cache

from deid.text.lists.reading import lines_of, sections_of


@cache
def _listed(name: str) -> frozenset[str]:
    """Return the words of lines ``BEGINNING<tab>REST REST …``; a dot stands for no rest."""
    words: list[str] = []
    for line in lines_of(name):
        beginning, _, rests = line.partition("\t")
        words.extend(beginning + rest.removeprefix(".") for rest in rests.split(" "))
    return frozenset(words)


def is_word(word: str) -> bool:
    """Whether something in small letters is an English word, be it in the plural.

    Names that many people bear are none, but for those that are words above all (``cue("words_first")``).
    """
    words = _listed("english_words.txt")
    return word in words or (word.endswith("s") and word[:-1] in words and word not in surnames())


def given_names() -> frozenset[str]:
    """Return given names of many countries, in Latin letters."""
    return _listed("english_given.txt")


def surnames() -> frozenset[str]:
    """Return surnames of the United States and, without counts, of many countries."""
    return _listed("english_surnames.txt")


@cache
def cue(section: str) -> frozenset[str]:
    """Return the words of a section of ``english_cues.txt``, with spaces for the underscores."""
    return frozenset(word.replace("_", " ") for word in sections_of("english_cues.txt")[section])


@cache
def places() -> frozenset[str]:
    """Return cities, states and countries; those of several words with spaces."""
    listed = {place.replace("_", " ") for place in _listed("english_places.txt")}
    return frozenset(listed | countries() | cue("states") | cue("city_words"))


@cache
def countries() -> frozenset[str]:
    """Return countries and parts of the world."""
    return frozenset({place.replace("_", " ") for place in _listed("english_countries.txt")} | cue("countries"))
