"""Detection of identifiers in Chinese free text: what may leave the vault as words leaves with marks in their place.

``TextScrubber`` is the way in. Importing this package does not import presidio; the first scrub does.
"""

from deid.text.kinds import MARKS, Kind
from deid.text.scrubber import TextScrubber
from deid.text.spans import Scrubbed, Span

__all__ = ["MARKS", "Kind", "Scrubbed", "Span", "TextScrubber"]
