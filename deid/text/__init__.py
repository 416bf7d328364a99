"""Detection of identifiers in Chinese free text: what may leave the vault as words leaves with marks in their place.

``TextScrubber`` is the way in. Importing this package does not import presidio; the first scrub does.
"""

from deid.text.engine import presidio_recognizers, settle_results
from deid.text.kinds import MARKS, Kind
from deid.text.scrubber import TextScrubber
from deid.text.spans import Scrubbed, Span
from deid.text.trace import Trace

__all__ = ["MARKS", "Kind", "Scrubbed", "Span", "TextScrubber", "Trace", "presidio_recognizers", "settle_results"]
