"""The releases of FHIR, in a module that costs the command line nothing."""

from enum import StrEnum


class Release(StrEnum):
    """The releases of FHIR that are written and read."""

    R4 = "r4"
    R5 = "r5"
