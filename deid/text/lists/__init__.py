"""Lists that ship: words with their costs, surnames, given names, simplified characters. See SOURCES.md.

Nothing is read at import: each list is read when it is first asked for, and kept.
"""

from deid.text.lists.reading import compound_surnames, surname_ranks
from deid.text.lists.simplified import simplified
from deid.text.lists.words import is_word, path_cost, segment, word_costs

__all__ = ["compound_surnames", "is_word", "path_cost", "segment", "simplified", "surname_ranks", "word_costs"]
