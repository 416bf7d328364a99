"""What one demo saw, step by step."""

from dataclasses import dataclass, field
from typing import Any, Final

from consentry.demo.files import SourceFiles

INGESTED: Final = ("fhir", "orders", "readings", "events")
"""The inputs that pass the gate, by the names of their reports."""


@dataclass
class Story:
    """What the demo saw, step by step."""

    files: SourceFiles
    initialised: dict[str, Any] = field(default_factory=dict)
    ingested: dict[str, dict[str, Any]] = field(default_factory=dict)
    views: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, Any] = field(default_factory=dict)
    cohort: dict[str, Any] = field(default_factory=dict)
    export: dict[str, Any] = field(default_factory=dict)
    changes: list[dict[str, str]] = field(default_factory=list)
    portrait: dict[str, Any] = field(default_factory=dict)
    register: dict[str, Any] = field(default_factory=dict)
    log: dict[str, Any] = field(default_factory=dict)
    whole: bool = False
    verified: str = ""
