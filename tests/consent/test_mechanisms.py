"""Which mechanisms show a clear affirmative act, and which name something else (R19)."""

import pytest

from consent.mechanisms import is_mechanism, shows_no_act
from consent.registry import DecisionAct, InvalidEvidence

NO_ACTS = (
    "preticked", "Pre-Ticked", "Pre Ticked", "PreTicked", "implied", "implied consent", "ImpliedConsent",
    "impliedconsent", "implicit", "silence", "SCROLL", "silent", "default", "default_on", "defaultSwitch",
    "by_default", "default_checked_checkbox", "scrolling", "scrolled", "preticked_box", "pretickedbox",
    "pre_checked", "pre.selected.option", "p r e t i c k e d", "opt_out", "opt-out", "OptOut", "optout",
    "no_objection", "not_objected", "did_not_object", "non-opposition", "without response", "no_action",
    "continued_use", "continue_using", "continuing to use", "keep_using", "use_of_service", "by_using_site",
    "browse", "browsing", "browsewrap", "inactivity", "tacit", "deemed_accepted", "presumed_consent",
    "auto_accepted", "automatic_enrolment", "dismissed", "banner_dismissed", "silent_consent", "soft_opt_in",
    "negative_option", "auto-enrolled", "autoEnrollment",
)  # fmt: skip
ACTS = (
    "checkbox", "tapped_button", "switch", "unticked_box", "un-ticked", "default_off_switch_turned_on",
    "not_preticked", "not_preticked_checkbox", "browser_dialogue", "opt_in", "double_opt_in", "settings_page",
    "signature", "contract_concluded", "document_check", "gpc", "validity_over", "withdraw_call",
    "signed_authorisation", "voice_yes", "paper_form", "prefilled_form_signed", "x", "m", "merge",
    "option_button", "user_action", "notice_button", "simple_click", "import", "autograph", "used_button",
    "never_preticked",
)  # fmt: skip
NO_CODES = ("默认勾选", "沉默", "未反对", "继续使用视为同意", "ｐreticked", "prеticked", "", "1box", "a" * 65, None, 7)
"""Words in another script, full width, a Cyrillic letter, and what is no text at all."""


@pytest.mark.parametrize("mechanism", NO_ACTS)
def test_what_the_person_has_not_done_shows_no_act(mechanism):
    """R19: a box ticked before, silence, scrolling, going on or not objecting, however it is written."""
    assert shows_no_act(mechanism)


@pytest.mark.parametrize("mechanism", ACTS)
def test_what_the_person_has_done_shows_an_act(mechanism):
    """R19: whole words are compared, so that honest codes with the same letters in them pass."""
    assert is_mechanism(mechanism)
    assert not shows_no_act(mechanism)


@pytest.mark.parametrize("mechanism", NO_CODES)
def test_mechanism_is_a_code(office, mechanism):
    """R19: words in another script are refused, whatever they say, before anybody reads them."""
    assert not is_mechanism(mechanism)
    with pytest.raises(InvalidEvidence, match="names no mechanism"):
        office.grant(office.subject(), "P08", evidence={"mechanism": mechanism, "occasion": "own"})


def test_closing_needs_no_act_that_is_shown(office):
    """R19: what closes is recorded however it came about; an objection by opting out counts."""
    subject = office.subject()
    office.grant(subject, "P08")
    assert office.record(subject, DecisionAct.WITHDRAW, "P08", evidence={"mechanism": "opt_out"})
