"""Sources: reads FHIR, tables and events, cleans every value to the catalogue and names what it refuses."""

from consentry.sources.context import SourceContext, open_context
from consentry.sources.events import EventMap, load_event_map, read_events
from consentry.sources.fhir import read_fhir
from consentry.sources.maps import TableMap, load_map
from consentry.sources.quarantine import QuarantineWriter, quarantine_path
from consentry.sources.records import BadRow, Identity, Reading, RowFault, SourceError, SourceRecord, Tally
from consentry.sources.suggest import suggest_map, suggest_map_for
from consentry.sources.tables import read_table

__all__ = [
    "BadRow",
    "EventMap",
    "Identity",
    "QuarantineWriter",
    "Reading",
    "RowFault",
    "SourceContext",
    "SourceError",
    "SourceRecord",
    "TableMap",
    "Tally",
    "load_event_map",
    "load_map",
    "open_context",
    "quarantine_path",
    "read_events",
    "read_fhir",
    "read_table",
    "suggest_map",
    "suggest_map_for",
]
