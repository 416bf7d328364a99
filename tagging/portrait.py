"""All tags of one subject by the reference evaluator."""

from collections.abc import Mapping
from dataclasses import replace

from tagging.reference import Facts, compile_rule
from tagging.taxonomy import Taxonomy
from tagging.types import Value


def compute(taxonomy: Taxonomy, facts: Facts) -> Mapping[str, Value]:
    """Compute every tag of one subject; tags that stand in ``facts`` already are not used."""
    values: dict[str, Value] = {}
    for layer in taxonomy.layers:
        for tag in layer:
            values[tag.code] = compile_rule(tag.rule)(replace(facts, tags=values))
    return values
