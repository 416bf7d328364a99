"""Export definitions: what may leave for a recipient, and what a definition can never say."""

import re
from decimal import Decimal

import pytest

from deid.exports import load_exports
from deid.hierarchies import FLAT
from deid.views import load_views
from kernel.errors import BadInput
from kernel.located_yaml import PackError

PARTNER = "exports/research_partner.yaml"
COLUMNS = "columns: [age_band, sex, province, "


def test_partner_export_is_what_was_agreed(partner):
    """Derived from the subject view, k=5, at most a tenth left out, three quasi-identifiers, its own scope."""
    assert (partner.view, partner.purpose, partner.recipient) == ("subject_profile", "P12", "research_partner")
    assert (partner.k, partner.suppression_limit) == (5, Decimal("0.1"))
    assert set(partner.hierarchies) == {"age_band", "sex", "province"}
    assert partner.scope != "profiling"
    assert "diagnosis_groups" in partner.columns
    assert partner.tags
    assert "complaint" not in partner.columns
    assert partner.level == 4


def test_partner_export_names_its_fields(partner, views):
    """The gate is asked for these under the export's purpose."""
    assert partner.fields == views["subject_profile"].fields_of(partner.columns)
    assert "chief_complaint" not in partner.fields


def test_tag_that_tells_of_a_quasi_identifier_is_one(partner):
    """A tag computed from the age band would undo the generalisation of the age band."""
    inputs = dict.fromkeys(partner.tags, ("diagnosis_groups",)) | {"churn_risk": {"age_band", "membership"}}
    with_tags = partner.hierarchies_with(inputs)
    assert set(with_tags) == {*partner.hierarchies, "churn_risk"}
    assert with_tags["churn_risk"] is FLAT


def test_tag_that_does_not_exist_is_refused(partner):
    """A tag of the definition that the taxonomy does not know stops the export."""
    inputs = dict.fromkeys(partner.tags[1:], ())
    with pytest.raises(BadInput, match=f"no tag {partner.tags[0]}"):
        partner.hierarchies_with(inputs)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (COLUMNS, COLUMNS + "complaint, ", "complaint: free text"),
        ("k: 5", "texts: {complaint: redact}\nk: 5", "complaint is no free text of this export"),
        ("k: 5", "texts: {sex: redact}\nk: 5", "sex is no free text of this export"),
        (COLUMNS, COLUMNS + "last_visit_month, ", "last_visit_month: a date finer than a year"),
        (COLUMNS, COLUMNS + "shoe_size, ", "unknown value 'shoe_size'"),
        (COLUMNS, "columns: [age_band, province, ", "sex is no column"),
        ("  sex: {hierarchy: flat, up_to: value}\n", "", "sex: others may know it"),
        ("  sex: {hierarchy: flat, up_to: value}\n", "  sex: {hierarchy: round}\n", "unknown value 'round'"),
        ("up_to: 20-year", "up_to: decade", "unknown value 'decade'"),
        ("  sex: {", "  diagnosis_groups: {hierarchy: flat}\n  sex: {", "several values in a cell"),
        ("k: 5", "k: 4", "4 is out of range"),
        ("suppression_limit_percent: 10", "suppression_limit_percent: 100", "100 is no share"),
        ("suppression_limit_percent: 10", 'suppression_limit_percent: "-1"', "-1 is no share"),
        ("scope: export_research_partner", "scope: profiling", "the scope of the view"),
        ("view: subject_profile", "view: event_rows", "event_rows holds events"),
        ("view: subject_profile", "view: nowhere", "unknown value 'nowhere'"),
        ("purpose: P12", "purpose: P10", "P10 may not use birth_date"),
        ("purpose: P12", "purpose: P99", "unknown value 'P99'"),
        ("tags: [", "tags: [sex, ", "a tag has the name of a column"),
        ("recipient: research_partner\n", "", "'recipient' is missing"),
        ("code: research_partner", "code: [", "not valid YAML"),
    ],
)
def test_mistake_in_an_export_is_refused(edit, medical, views, old, new, message):  # noqa: PLR0917 - fixtures
    """Free text, dates, quasi-identifiers without hierarchy and fields beyond the purpose do not load."""
    with pytest.raises(PackError, match=re.escape(message)):
        load_exports(edit(PARTNER, old, new), medical, views)


def test_same_export_twice_is_refused(pack_copy, medical, views):
    """Two files for one code would leave open which of them counts."""
    (pack_copy / "exports" / "again.yaml").write_bytes((pack_copy / PARTNER).read_bytes())
    with pytest.raises(PackError, match="the export 'research_partner' again"):
        load_exports(pack_copy, medical, views)


def test_hash_covers_definition_and_view(edit, pack_copy, medical, views, partner):
    """A change of either is another export."""
    changed_view = load_views(edit("views/subject_profile.yaml", 'version: "1"', 'version: "2"'), medical)
    assert load_exports(pack_copy, medical, changed_view)["research_partner"].hash != partner.hash
    changed = load_exports(edit(PARTNER, "k: 5", "k: 6"), medical, views)["research_partner"]
    assert changed.hash != partner.hash
    assert changed.k == 6


def test_view_and_export_of_the_pack_share_no_scope(partner, views):
    """Neither can be joined with the other by pseudonym."""
    assert partner.scope not in {view.scope for view in views.values()}


def with_complaints(edit, policy="redact"):
    """The pack with the partner's export holding complaints."""
    edit(PARTNER, COLUMNS, COLUMNS + "complaint, ")
    return edit(PARTNER, "k: 5", f"texts: {{complaint: {policy}}}\nk: 5")


def test_free_text_leaves_under_a_policy_that_the_definition_names(edit, medical, views):
    """Redacted, and asked for at the gate like every other field."""
    export = load_exports(with_complaints(edit), medical, views)["research_partner"]
    assert dict(export.texts) == {"complaint": "redact"}
    assert "complaint" in export.columns
    assert "chief_complaint" in export.fields


@pytest.mark.parametrize("policy", ["keep", "mask", "surrogate", "none"])
def test_no_other_policy_lets_text_out(edit, medical, views, policy):
    """Only redaction: masked and replaced values say more."""
    with pytest.raises(PackError, match=f"unknown value '{policy}'"):
        load_exports(with_complaints(edit, policy), medical, views)
