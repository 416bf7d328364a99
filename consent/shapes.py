"""The JSON Schemas of records and receipts, as they are packaged, and the check against them."""

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from kernel.encoding import JsonValue
from kernel.errors import IntegrityFailed

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

RECORD: Final = "consent_record"
RECEIPT: Final = "consent_receipt"


class ShapeBroken(IntegrityFailed):
    """A record or receipt does not fit its schema."""


def schema_of(name: str) -> dict[str, JsonValue]:
    """Return a packaged schema, ``RECORD`` or ``RECEIPT``."""
    text = (files("consent") / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, JsonValue] = json.loads(text)
    return schema


def check_shape(value: JsonValue, name: str) -> None:
    """Check a value against a packaged schema.

    Raises:
        ShapeBroken: it does not fit; the message names the places and the rules, never a value.
    """
    broken = sorted({f"{err.json_path} ({err.validator})" for err in _validator(name).iter_errors(value)})
    if broken:
        raise ShapeBroken(
            f"The {name.replace('_', ' ')} does not fit its schema at {', '.join(broken[:5])}",
            hint="See docs/reference/interchange.md.",
        )


@cache
def _validator(name: str) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    known = [Resource.from_contents(schema_of(one)) for one in (RECORD, RECEIPT)]
    registry = Registry().with_resources([(resource.id() or "", resource) for resource in known])
    return Draft202012Validator(schema_of(name), registry=registry)
