"""English text: numbers by label, days, names, places, organisations and addresses, by rules and lists that ship."""

from typing import Final

from deid.text.english.addresses import EnglishAddressFinder
from deid.text.english.dates import EnglishDateFinder
from deid.text.english.finder import EnglishNameFinder
from deid.text.english.labels import EnglishLabelFinder

ENGLISH_FINDERS: Final = (EnglishLabelFinder(), EnglishAddressFinder(), EnglishDateFinder(), EnglishNameFinder())
"""Each decides by the letters of a text whether it has anything to do."""
