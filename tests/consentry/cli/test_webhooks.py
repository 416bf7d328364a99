"""The commands on webhooks: a secret is printed once, a list never holds one."""

import json

URL = "https://insurer.example/hook"


def test_a_target_is_added_listed_renewed_and_disabled(run, home):
    """The whole life of a target, as JSON and for people."""
    added = json.loads(run("webhook", "add", "insurer", URL, "--home", home, "--json").out)
    assert added["secret"].startswith("whsec_")
    listed = run("webhook", "list", "--home", home, "--json").out
    assert json.loads(listed)["id"] == added["id"]
    assert "whsec_" not in listed
    renewed = json.loads(run("webhook", "key", added["id"], "--home", home, "--json").out)
    assert renewed["secret"].startswith("whsec_")
    assert renewed["secret"] != added["secret"]
    assert run("webhook", "disable", added["id"], "--home", home).out == f"{added['id']} is disabled\n"
    shown = run("webhook", "list", "--home", home).out
    assert added["id"] in shown
    assert "operator" in shown


def test_without_targets_the_list_is_empty(run, home):
    """An empty table, not an error."""
    assert run("webhook", "list", "--home", home).status == 0


def test_bad_input_is_one_line(run, home):
    """A wrong address or recipient ends with 2 and says what to do."""
    said = run("webhook", "add", "insurer", "http://insurer.example/hook", "--home", home)
    assert (said.status, "https://" in said.line) == (2, True)
    assert run("webhook", "add", "nobody", URL, "--home", home).status == 2
    assert run("webhook", "disable", "wht_none", "--home", home).status == 2


def test_the_name_of_a_person_is_printed(run, home, deployment, capturing):
    """What the recipient gets with the data."""
    from consentry.platform import open_platform

    with open_platform(deployment.settings) as platform:
        subject = capturing(platform).person("u-1")
        name = platform.pseudonyms.unrecorded(subject, scope="recipient:insurer")
    assert run("webhook", "name", subject, "insurer", "--home", home).out == f"{name}\n"
