"""R54: a linked row is as sensitive as its highest part."""

from deid.view_rules import linked_level
from kernel.catalogue import Catalogue, Compartment


def test_linked_row_has_the_level_of_its_highest_field_and_four_with_health_data(medical: Catalogue):
    """The maximum counts; a key of a person beside health data makes level 4 at least."""
    fields = medical.fields
    quasi = [fields["sex"], fields["birth_date"]]
    assert linked_level(quasi) == max(field.level for field in quasi)
    assert linked_level([*quasi, fields["name"]]) == fields["name"].level
    reading = next(one for one in fields.values() if one.compartment is Compartment.CLINICAL and one.level < 4)
    assert linked_level([reading]) == 4
