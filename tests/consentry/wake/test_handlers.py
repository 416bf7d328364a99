"""What was derived of somebody goes with the decision behind it, and stays where the gate still allows it."""

import json
from datetime import timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent.wake import Tally
from consentry.packs import pack_folder
from consentry.stores.builds import list_releases, list_view_builds
from consentry.stores.tables import view_build
from consentry.wake.runner import run_wake, run_wake_of
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.decide import decide
from consentry.workflows.erase import erase_subject, restrict_subject
from consentry.workflows.export import run_export
from consentry.workflows.read_view import read_view
from deid.files import file_sha256
from deid.manifest import FILE_NAME, read_manifest

_MINUTE = timedelta(minutes=1)


def withdraw(shelf, subject, purpose="P07", recipient=None) -> None:
    withdraw_purpose(shelf.platform, shelf.captured.caller, subject, purpose, recipient=recipient)


def verifier(platform):
    """Says whether a signature is that of the deployment's key."""
    key = Ed25519PublicKey.from_public_bytes(platform.signer.public_key)

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


def test_withdrawal_clears_every_build_and_all_tags(shelf) -> None:
    """R15: after the wake the subject is in no build, superseded ones too, and has no tag; others stay."""
    shelf.fill(3)
    gone, stays = shelf.people[:2]
    before = shelf.rows_of(stays)
    assert shelf.rows_of(gone) == before > 0
    withdraw(shelf, gone)
    assert run_wake(shelf.platform, 100) == Tally(done=len(shelf.items(gone)))
    assert (shelf.rows_of(gone), shelf.tags_of(gone)) == (0, 0)
    assert shelf.rows_of(stays) == before
    assert shelf.tags_of(stays) > 0
    derived = {"views event_rows": "done", "views subject_profile": "done", "tags": "done"}
    assert derived.items() <= shelf.outcomes(gone).items()
    assert read_view(shelf.platform, shelf.captured.caller, "subject_profile").num_rows == 2
    history = shelf.platform.registry.history
    with shelf.platform.data.read() as connection:
        assert [one.act.value for one in history(connection, gone) if one.purpose == "P07"] == ["grant", "withdraw"]


def test_rewritten_builds_are_signed_anew(shelf) -> None:
    """Manifest, file and row in the data store agree after the rewriting, under the deployment's key."""
    shelf.fill(3)
    withdraw(shelf, shelf.people[0])
    run_wake(shelf.platform, 100)
    with shelf.platform.data.read() as connection:
        builds = list_view_builds(connection)
        stored = {row.build_id: row.manifest for row in connection.execute(view_build.select())}
    assert len(builds) == 4
    for build in builds:
        folder = shelf.platform.layout.view_folder(build.view, build.build_id)
        manifest = read_manifest(folder / FILE_NAME, verifier(shelf.platform))
        assert {name: file_sha256(folder / name) for name in manifest["files"]} == manifest["files"]
        people = 2 if build.view == "subject_profile" else 0
        assert manifest["counts"] == {"persons_out": people, "rows": build.row_count}
        assert json.loads(stored[build.build_id])["manifest"] == manifest
        assert sorted(path.name for path in folder.iterdir()) == [FILE_NAME, "part-00000.parquet"]


def test_entries_tell_of_each_target(shelf) -> None:
    """The log names closing entry, handler, target and counts of what was done."""
    shelf.fill(2)
    withdraw(shelf, shelf.people[0])
    run_wake(shelf.platform, 100)
    (closing,) = shelf.entries("consent.withdrawn")
    told = {entry["refs"]["handler"] + entry["refs"].get("target", ""): entry for entry in shelf.entries("wake.done")}
    assert {entry["refs"]["closing"] for entry in told.values()} == {closing["id"]}
    assert told["viewssubject_profile"]["counts"] == {"builds": 2, "rows": 2}
    assert told["tags"]["counts"]["runs"] == 2
    assert told["tags"]["counts"]["values"] > 0


def test_whoever_granted_again_meanwhile_keeps_what_the_grant_covers(shelf) -> None:
    """The handlers ask the gate before they delete: a new grant that came first is respected."""
    shelf.fill(2)
    subject = shelf.people[0]
    before = shelf.rows_of(subject)
    withdraw(shelf, subject)
    shelf.platform.clock.advance(_MINUTE)
    shelf.captured.grant("u-0", "P07")
    run_wake(shelf.platform, 100)
    outcomes = shelf.outcomes(subject)
    assert {outcomes[name] for name in ("views event_rows", "views subject_profile", "tags")} == {"granted_again"}
    assert shelf.rows_of(subject) == before
    assert shelf.tags_of(subject) > 0


def test_narrower_grant_does_not_keep_the_wider_row(shelf) -> None:
    """A row holds more than a grant for two fields covers, so it goes until the next build."""
    shelf.fill(2)
    subject = shelf.people[0]
    withdraw(shelf, subject)
    shelf.platform.clock.advance(_MINUTE)
    shelf.captured.grant("u-0", "P07", fields=["tags", "sex"])
    run_wake(shelf.platform, 100)
    assert shelf.rows_of(subject) == 0


def test_withdrawal_of_another_purpose_touches_nothing_derived(shelf) -> None:
    """What was made for profiling stays when something else is withdrawn."""
    shelf.fill(2)
    shelf.captured.grant("u-0", "P08")
    before = shelf.rows_of(shelf.people[0])
    withdraw(shelf, shelf.people[0], "P08")
    run_wake(shelf.platform, 100)
    assert not {"views", "tags", "exports"} & {item.handler for item in shelf.items(shelf.people[0])}
    assert shelf.rows_of(shelf.people[0]) == before


def test_switched_off_push_is_refused_at_once(shelf) -> None:
    """R13, R14: the very next question for a number to push to is refused, before anything of the wake has run."""
    shelf.captured.person("u-0", "P02", "P09")
    platform, caller = shelf.platform, shelf.captured.caller
    subject = shelf.captured.person("u-0")
    asked = {"subject": subject, "purpose": "P09", "fields": ["mobile"]}
    assert decide(platform, caller, **asked).refused == {}
    platform.clock.advance(_MINUTE)
    withdraw(shelf, subject, "P09")
    assert decide(platform, caller, **asked).refused == {"mobile": "WITHDRAWN"}
    assert {item.state.value for item in shelf.items(subject)} <= {"open"}


def test_release_is_recalled_for_the_recipient_that_was_named(shelf) -> None:
    """R15: our copy is deleted, and one entry says whom to tell; views and tags of another purpose stay."""
    shelf.fill(24, builds=1, recipient="research_partner")
    first, second = (run_export(shelf.platform, shelf.captured.caller, "research_partner") for _ in range(2))
    subject, other = shelf.people[:2]
    rows = shelf.rows_of(subject)
    withdraw(shelf, subject, "P12", "research_partner")
    run_wake(shelf.platform, 100)
    assert shelf.outcomes(subject)["exports"] == "done"
    assert not first.folder.exists()
    assert not second.folder.exists()
    assert shelf.rows_of(subject) == rows
    recalled = shelf.entries("export.recalled")
    assert {entry["refs"]["export"] for entry in recalled} == {first.export_id, second.export_id}
    assert {(entry["recipient"], entry["purpose"]) for entry in recalled} == {("research_partner", "P12")}
    with shelf.platform.data.read() as connection:
        assert all(release.recalled_at for release in list_releases(connection))
    withdraw(shelf, other, "P12")
    run_wake(shelf.platform, 100)
    assert "exports" not in shelf.outcomes(other)
    assert len(shelf.entries("export.recalled")) == 2


def test_release_without_the_person_stays(shelf) -> None:
    """Whoever was never in a release, or granted again, does not have it recalled."""
    shelf.fill(24, builds=1, recipient="research_partner")
    shelf.captured.person("late", "P02", "P07")
    released = run_export(shelf.platform, shelf.captured.caller, "research_partner")
    stranger = shelf.captured.person("stranger", "P02", "P07")
    shelf.captured.grant("stranger", "P12", recipient="research_partner")
    withdraw(shelf, stranger, "P12")
    withdraw(shelf, shelf.people[0], "P12")
    shelf.platform.clock.advance(_MINUTE)
    shelf.captured.grant("u-0", "P12", recipient="research_partner")
    run_wake(shelf.platform, 100)
    assert shelf.outcomes(stranger)["exports"] == "done"
    assert shelf.outcomes(shelf.people[0])["exports"] == "granted_again"
    assert released.folder.exists()
    assert shelf.entries("export.recalled") == []


def test_half_deleted_release_is_recalled_to_the_end(shelf) -> None:
    """A crash between deleting our copy and saying so is made up for, with one entry."""
    shelf.fill(24, builds=1, recipient="research_partner")
    released = run_export(shelf.platform, shelf.captured.caller, "research_partner")
    withdraw(shelf, shelf.people[0], "P12")
    (released.folder / "data.parquet").unlink()
    run_wake(shelf.platform, 100)
    assert not released.folder.exists()
    assert len(shelf.entries("export.recalled")) == 1


def test_restriction_clears_what_was_derived_for_every_purpose(shelf) -> None:
    """R16: after a restriction only storage goes on; views, tags and releases let the subject go. Once, not twice."""
    shelf.fill(24, builds=1, recipient="research_partner")
    released = run_export(shelf.platform, shelf.captured.caller, "research_partner")
    subject = shelf.people[0]
    for number in (1, 2):
        restrict_subject(shelf.platform, shelf.captured.caller, subject=subject, reason=f"request {number}")
    assert run_wake_of(shelf.platform, subject).done == len(shelf.items(subject)) >= 4
    assert {item.closing.cause for item in shelf.items(subject)} == {"restrict"}
    assert (shelf.rows_of(subject), shelf.tags_of(subject)) == (0, 0)
    assert not released.folder.exists()


def test_erasure_does_the_work_by_its_own_way(shelf) -> None:
    """An erasure has cleared everything derived when it ends; no item repeats it."""
    shelf.fill(2, builds=1)
    subject = shelf.people[0]
    names = shelf.names(subject)
    erase_subject(shelf.platform, shelf.captured.caller, subject=subject, reason="request 1")
    assert names
    assert not {"views", "tags", "exports"} & {item.handler for item in shelf.items(subject)}
    assert run_wake(shelf.platform, 100).again == 0


def test_command_stops_beginning_items_when_its_time_is_over(shelf) -> None:
    """A command leaves what is left to the server, rather than keep the person waiting."""
    shelf.fill(2, builds=1)
    withdraw(shelf, shelf.people[0])
    assert run_wake_of(shelf.platform, shelf.people[0], seconds=0) == Tally()
    assert shelf.rows_of(shelf.people[0]) > 0


@pytest.mark.parametrize("kept", [True, False])
def test_view_that_the_pack_dropped_lets_everybody_go(shelf, monkeypatch, *, kept: bool) -> None:
    """Where nobody can say any more what a row was made of, no grant keeps it."""
    from consentry.wake import parts

    shelf.fill(2, builds=1)
    subject = shelf.people[0]
    withdraw(shelf, subject)
    shelf.platform.clock.advance(_MINUTE)
    shelf.captured.grant("u-0", "P07")
    if not kept:
        monkeypatch.setattr(parts, "read_views", lambda _folder, _catalogue: {})
    run_wake(shelf.platform, 100)
    assert (shelf.rows_of(subject) > 0) is kept


def test_grant_narrowed_while_open_lets_the_wider_row_go(shelf) -> None:
    """R15: views and tags that used a field which is left out let the person go, without a withdrawal in between."""
    shelf.fill(2)
    subject, other = shelf.people
    shelf.platform.clock.advance(_MINUTE)
    shelf.captured.grant("u-0", "P07", fields=["tags", "sex"])
    assert {item.closing.cause for item in shelf.items(subject)} == {"narrow"}
    run_wake(shelf.platform, 100)
    assert (shelf.rows_of(subject), shelf.tags_of(subject)) == (0, 0)
    assert shelf.rows_of(other) > 0


def test_narrowing_what_no_product_uses_touches_none(shelf) -> None:
    """`granted_again` means that every field which the product used still passes."""
    shelf.fill(2)
    used = shelf.platform.catalogue.fields_by_purpose["P07"] - {"insurance_number"}
    before = shelf.rows_of(shelf.people[0])
    shelf.platform.clock.advance(_MINUTE)
    shelf.captured.grant("u-0", "P07", fields=sorted(used - {_unused(shelf, used)}))
    run_wake(shelf.platform, 100)
    outcomes = shelf.outcomes(shelf.people[0])
    assert {outcomes[name] for name in ("views event_rows", "views subject_profile", "tags")} == {"granted_again"}
    assert shelf.rows_of(shelf.people[0]) == before


def _unused(shelf, fields) -> str:
    """A field of the purpose that neither views nor tags are made of."""
    from deid.views import load_views

    views = load_views(pack_folder(shelf.platform.settings.pack), shelf.platform.catalogue)
    return min(fields - frozenset({"tags"}).union(*(view.fields for view in views.values())))
