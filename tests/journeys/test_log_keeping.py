"""The log's own life on whole deployments: rolled back and recovered, rotated, signed elsewhere, configured."""

import hashlib
import io
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from audit.rotation import load_tree_signer
from audit.signer_service import serve_signer
from audit.signing import create_signing_key
from audit.verifier import VerificationError, VerifierKey, verify_export
from consentry.demo.shell import Shell
from consentry.platform import open_platform
from consentry.principals import NotAuthenticated, Principal, PrincipalKind
from consentry.settings import Settings, load_settings
from consentry.workflows.configure_log import (
    LogConfiguration,
    configure_log,
    configured_event,
    record_configured,
)
from consentry.workflows.initialise import initialise
from consentry.workflows.keep_log import check_log
from consentry.workflows.prune_log import preview_pruning
from consentry.workflows.reconcile import reconcile
from consentry.workflows.recover_log import recover_log
from consentry.workflows.two_people import know_officer
from kernel.errors import BadInput, ConfigurationError, Conflict, Denied, IntegrityFailed, Unavailable
from kernel.ids import PrincipalId
from tests.loopback import start_serving

pytestmark = pytest.mark.xdist_group("promises")


def person(name: str, role: str = "compliance_officer") -> Principal:
    """Somebody with a role."""
    return Principal(PrincipalId(f"usr_{name}"), name, PrincipalKind.PERSON, role)


TWO = (person("li"), person("wang"))
ADMIN = person("admin", "administrator")


@pytest.fixture(scope="module")
def unused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a deployment that nobody has used; tests work on copies."""
    made = Shell(tmp_path_factory.mktemp("unused") / "home", shown=False)
    made.json("init")
    return made.home


@pytest.fixture
def shell(unused: Path, tmp_path: Path) -> Shell:
    """A fresh deployment."""
    shutil.copytree(unused, tmp_path / "home")
    return Shell(tmp_path / "home", shown=False)


@pytest.fixture
def rolled_back(shell: Shell, tmp_path: Path) -> Shell:
    """A deployment whose data store is an older copy, beside today's signer."""
    shutil.copy(shell.home / "data.db", tmp_path / "old.db")
    shell.run("audit", "query")
    shutil.copy(tmp_path / "old.db", shell.home / "data.db")
    return shell


def test_start_refuses_a_store_that_was_rolled_back(rolled_back: Shell) -> None:
    """An older database beside the signer that knows more: nothing starts."""
    with pytest.raises(IntegrityFailed, match="were signed"):
        rolled_back.run("audit", "query")


@pytest.mark.parametrize("trigger", ["audit_leaf_no_delete", "decision_no_update"])
def test_start_and_reconcile_tell_of_a_dropped_guard(shell: Shell, trigger: str) -> None:
    """A trigger of the log or the register that somebody dropped stops the start; reconcile names it and suspends."""
    with sqlite3.connect(shell.home / "data.db") as connection:
        connection.execute(f"DROP TRIGGER {trigger}")
    with pytest.raises(IntegrityFailed, match=trigger):
        shell.run("audit", "query")
    with open_platform(load_settings(home=shell.home)) as platform:
        found = reconcile(platform, ADMIN)
    assert found.is_suspended
    assert any(trigger in str(one) for one in found.mismatches)


def test_two_people_open_a_new_origin_and_the_log_goes_on(rolled_back: Shell, tmp_path: Path) -> None:
    """The old key is set aside, the new origin starts at 0 with what is known of the old one, whose loss shows."""
    settings = load_settings(home=rolled_back.home)
    with open_platform(settings) as platform:
        for people in ((TWO[0],), (TWO[0], TWO[0]), ()):
            with pytest.raises(BadInput, match="Two different"):
                recover_log(platform, ADMIN, reason="restored", accepted_by=people)
        with pytest.raises(Denied):
            recover_log(platform, ADMIN, reason="restored", accepted_by=(TWO[0], person("dr", "clinician")))
        with pytest.raises(BadInput, match="reason"):
            recover_log(platform, ADMIN, reason=" ", accepted_by=TWO)
        with pytest.raises(BadInput, match="does not verify"):
            recover_log(platform, ADMIN, reason="restored", accepted_by=TWO, known=[b"no note"])
        before = platform.signer.verifier_key
        done = recover_log(platform, ADMIN, reason="restored from an old backup", accepted_by=TWO)
    assert (done.checkpoint.origin, done.previous.origin) == (f"{before.name}#2", before.name)
    assert (rolled_back.home / "signing.key.1").exists()
    assert (rolled_back.home / "signing.state.1").exists()
    rolled_back.run("audit", "export", str(tmp_path / "log"))
    assert verify_export(tmp_path / "log", VerifierKey.parse(done.verifier_key)).origin == f"{before.name}#2"
    check_earlier(tmp_path / "log", before, VerifierKey.parse(done.verifier_key), lost=1)
    with open_platform(settings) as platform:
        check_log(platform)
        assert reconcile(platform, ADMIN).is_clean
        with pytest.raises(Conflict, match="nothing to recover"):
            recover_log(platform, ADMIN, reason="again", accepted_by=TWO)


def check_earlier(folder: Path, old: VerifierKey, new: VerifierKey, *, lost: int) -> None:
    """What survived verifies by the root that the new origin states; what is missing is named as missing."""
    earlier = folder / "earlier" / "1"
    signed = int((earlier / "checkpoint").read_bytes().split(b"\n")[1])
    with pytest.raises(VerificationError) as found:
        verify_export(earlier, old)
    assert (found.value.kind, found.value.index) == ("lost", signed - lost)
    assert f"{signed - lost} of {signed} entries survive" in found.value.message
    assert f"{lost} are missing" in found.value.message
    stated = (earlier / "recovered.json").read_bytes()
    bundle = next((earlier / "tile/entries").rglob("*.p/*"))
    whole = bundle.read_bytes()
    bundle.write_bytes(whole.replace(b"admin", b"nimda", 1))
    with pytest.raises(VerificationError) as found:
        verify_export(earlier, old)
    assert found.value.kind == "changed"
    bundle.write_bytes(whole)
    (earlier / "recovered.json").write_bytes(stated.replace(b'"surviving_size":', b'"surviving_size":1'))
    with pytest.raises(VerificationError, match="not the first entry"):
        verify_export(folder, new)
    for forged in (b"{}", b"[", stated.replace(b"log.recovered", b"audit.read")):
        (earlier / "recovered.json").write_bytes(forged)
        with pytest.raises(VerificationError, match="states nothing"):
            verify_export(earlier, old)
    (earlier / "recovered.json").write_bytes(stated)
    assert verify_export(folder, new).size > 0


@contextmanager
def signing(folder: Path, name: str, origin: str) -> Iterator[VerifierKey]:
    """A signer of its own behind ``folder/s``, with the key and memory of that name."""
    if not (folder / f"{name}.key").exists():
        create_signing_key(folder / f"{name}.key", origin)
    signer = load_tree_signer(folder / f"{name}.key", folder / f"{name}.state")
    with serve_signer(signer, folder / "s") as server:
        thread = start_serving(server)
        yield signer.verifier_key
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Lost:
    """A store that was rolled back, whose signer was another process: its key, last checkpoint, and two officers."""

    settings: Settings
    key: VerifierKey
    checkpoint: bytes
    passwords: dict[str, str]


@pytest.fixture
def lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lost:
    """No signer is behind the socket any more."""
    monkeypatch.setenv("CONSENTRY_SIGNER_SOCKET", str(tmp_path / "s"))
    bare = load_settings(home=tmp_path / "home", signer_socket=tmp_path / "s")
    with signing(tmp_path, "old", "hospital.example/log") as old:
        made = initialise(bare, admin="admin", person="dr.lin", person_role="clinician")
        settings = load_settings(home=tmp_path / "home", signer_socket=tmp_path / "s", deployment=made.deployment)
        passwords = officers(Shell(tmp_path / "home", shown=False))
        shutil.copy(tmp_path / "home/data.db", tmp_path / "old.db")
        with open_platform(settings) as platform:
            reconcile(platform, ADMIN)
            last = platform.log.settle().note
    shutil.copy(tmp_path / "old.db", tmp_path / "home/data.db")
    return Lost(settings, old, last, passwords)


@pytest.mark.parametrize("is_kept", [True, False])
def test_log_behind_a_signer_of_its_own_is_recovered(lost: Lost, tmp_path: Path, *, is_kept: bool) -> None:
    """The new signer knows nothing of the old log: its checkpoints count under the key that the operator names."""
    settings, old, last = lost.settings, lost.key, lost.checkpoint
    known = [last] if is_kept else []
    with signing(tmp_path, "new", "hospital.example/log#2") as new, open_platform(settings) as platform:
        with pytest.raises(BadInput, match="has a new key"):
            recover_log(platform, ADMIN, reason="restored", accepted_by=TWO, known=known)
        with pytest.raises(BadInput, match="does not verify"):
            recover_log(platform, ADMIN, reason="restored", accepted_by=TWO, known=[last], old_keys=[new])
        done = recover_log(platform, ADMIN, reason="restored", accepted_by=TWO, known=known, old_keys=[old])
        check_log(platform)
        platform.log.export(tmp_path / "log")
    assert done.verifier_key == str(new)
    assert (done.previous.origin, done.checkpoint.origin) == (old.name, new.name)
    assert verify_export(tmp_path / "log", new).size > 0
    if not is_kept:
        assert verify_export(tmp_path / "log/earlier/1", old).size == done.previous.size
        return
    with pytest.raises(VerificationError) as found:
        verify_export(tmp_path / "log/earlier/1", old)
    assert found.value.kind == "lost"


def test_recovery_names_the_old_key_on_the_command_line(
    lost: Lost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people by password, the checkpoint in a file, the old public key as an option."""
    (tmp_path / "note").write_bytes(lost.checkpoint)
    shell = Shell(lost.settings.home, shown=False)
    words = ("--reason", "restored", "--checkpoint", str(tmp_path / "note"), *BY_NAME, "--old-key")
    with signing(tmp_path, "new", "hospital.example/log#2"):
        with pytest.raises(BadInput, match="--old-key is wrong"):
            shell.run("audit", "recover", *words, "no key")
        stdin(monkeypatch, lost.passwords["li"], lost.passwords["wang"])
        told = shell.json("audit", "recover", *words, str(lost.key))
    assert (told["origin"], told["previous"][:21]) == ("hospital.example/log#2", "hospital.example/log,")


def test_spoiled_checkpoints_and_memory_do_not_stand_in_the_way_of_a_recovery(shell: Shell) -> None:
    """The newest stored checkpoint that verifies counts, where the memory is damaged."""
    for _ in range(2):
        shell.run("audit", "query")
    settings = load_settings(home=shell.home)
    with open_platform(settings) as platform:
        origin = platform.signer.name
        with pytest.raises(BadInput, match="is named"):
            recover_log(
                platform, ADMIN, reason="r", accepted_by=TWO, old_keys=[VerifierKey("other.example/log", bytes(32))]
            )
    (shell.home / "signing.state").write_bytes(b"damaged")
    with sqlite3.connect(shell.home / "data.db") as store:
        (newest,) = store.execute("SELECT max(size) FROM audit_checkpoint").fetchone()
        store.execute("INSERT INTO audit_checkpoint VALUES (1, ?, x'00', 'spoiled')", (newest + 9,))
    with open_platform(settings) as platform:
        done = recover_log(platform, ADMIN, reason="restored", accepted_by=TWO)
    assert (done.previous.origin, done.previous.size) == (origin, newest)


def test_damaged_memory_is_told_where_nobody_knows_the_log(rolled_back: Shell) -> None:
    """Without any checkpoint that verifies, the memory's newest copy is looked for first."""
    (rolled_back.home / "signing.state").write_bytes(b"damaged")
    with sqlite3.connect(rolled_back.home / "data.db") as store:
        store.execute("DROP TRIGGER audit_checkpoint_no_delete")
        store.execute("DELETE FROM audit_checkpoint")
    with (
        open_platform(load_settings(home=rolled_back.home)) as platform,
        pytest.raises(IntegrityFailed, match="damaged"),
    ):
        recover_log(platform, ADMIN, reason="restored", accepted_by=TWO)


def test_old_memory_is_set_aside_on_the_disk_before_the_new_key_is_there(
    rolled_back: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power the new key never meets the old key's memory."""
    home, seen, fsync = rolled_back.home, [], os.fsync

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) and (home / "signing.state.1").exists():
            seen.append((home / "signing.key.1").exists())

    monkeypatch.setattr(os, "fsync", watched)
    with open_platform(load_settings(home=home)) as platform:
        recover_log(platform, ADMIN, reason="restored", accepted_by=TWO)
    assert seen[:2] == [False, True]


def test_interrupted_recovery_is_finished_by_the_next_start(
    rolled_back: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the new origin's entry and the change of keys."""
    settings = load_settings(home=rolled_back.home)

    def killed(_platform: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, open_platform(settings) as platform:
        patch.setattr("consentry.workflows.recover_log._take_into_use", killed)
        with pytest.raises(KeyboardInterrupt):
            recover_log(platform, ADMIN, reason="restored", accepted_by=TWO)
    with open_platform(settings) as platform, pytest.raises(Unavailable, match="in place now"):
        check_log(platform)
    with open_platform(settings) as platform:
        check_log(platform)
        assert platform.log.settle().origin.endswith("#2")


def test_rotated_key_is_told_by_the_log_and_followed_by_the_verifier(shell: Shell, tmp_path: Path) -> None:
    """Who trusts the first key verifies the whole log after the rotation."""
    with open_platform(load_settings(home=shell.home)) as platform:
        first = platform.signer.verifier_key
    shell.run("audit", "rotate-key")
    shell.run("audit", "export", str(tmp_path / "log"))
    with open_platform(load_settings(home=shell.home)) as platform:
        second = platform.signer.verifier_key
    assert second != first
    for key in (first, second):
        assert verify_export(tmp_path / "log", key).origin == first.name
    entries = shell.json("audit", "query", "--act", "log.key_rotated")
    assert entries["refs"]["new_key"] == second.key_id.hex()


def test_deployment_signs_through_a_signer_of_its_own(tmp_path: Path) -> None:
    """No signing key lies with the platform; without the signer nothing starts."""
    create_signing_key(tmp_path / "key", "hospital.example/log")
    settings = load_settings(home=tmp_path / "home", signer_socket=tmp_path / "s")
    with serve_signer(load_tree_signer(tmp_path / "key", tmp_path / "state"), tmp_path / "s") as server:
        thread = start_serving(server)
        made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician")
        used = load_settings(home=tmp_path / "home", signer_socket=tmp_path / "s", deployment=made.deployment)
        with open_platform(used) as platform:
            check_log(platform)
            assert platform.log.settle().origin == "hospital.example/log"
            platform.log.export(tmp_path / "log")
        server.shutdown()
        thread.join()
    assert verify_export(tmp_path / "log", VerifierKey.parse(made.verifier_key)).size > 0
    assert not list((tmp_path / "home").glob("signing.*"))
    with pytest.raises(Unavailable, match="does not answer"), open_platform(used):
        pass


def test_retention_is_never_shortened(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six years were logged; one year is refused. Seven are recorded by what serves, never by what reads."""
    monkeypatch.setenv("CONSENTRY_AUDIT_RETENTION_DAYS", "365")
    with pytest.raises(ConfigurationError, match="kept for 2192 days"):
        shell.run("audit", "query")
    monkeypatch.setenv("CONSENTRY_AUDIT_RETENTION_DAYS", "2600")
    shell.run("audit", "query")
    monkeypatch.setenv("CONSENTRY_AUDIT_RETENTION_DAYS", "2192")
    shell.run("audit", "query")
    with open_platform(load_settings(home=shell.home, audit_retention_days=2600)) as platform:
        record_configured(platform)
    monkeypatch.setenv("CONSENTRY_AUDIT_RETENTION_DAYS", "2192")
    with pytest.raises(ConfigurationError, match="kept for 2600 days"):
        shell.run("audit", "query")


@pytest.mark.parametrize("days", [182, 36_526, 99_999_999_999])
def test_retention_has_bounds(shell: Shell, days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error is refused before it is recorded anywhere."""
    monkeypatch.setenv("CONSENTRY_AUDIT_RETENTION_DAYS", str(days))
    with pytest.raises(ConfigurationError, match="audit_retention_days"):
        shell.run("audit", "query")


def test_retention_without_bounds_that_was_recorded_once_counts_as_a_hundred_years(shell: Shell) -> None:
    """A log that says more than any setting can is opened with the longest one, and pruning does not overflow."""
    with open_platform(load_settings(home=shell.home, audit_retention_days=36_525)) as platform:
        said = LogConfiguration(99_999_999_999, "none")
        platform.log.write(configured_event(said, platform.asking(ADMIN)))
        check_log(platform)
        assert preview_pruning(platform, ADMIN).plan.entries == 0
        assert reconcile(platform, ADMIN).is_clean


def test_policy_may_list_another_key_of_the_log_without_two_people(shell: Shell, tmp_path: Path) -> None:
    """Witnesses, groups and quorum are what two people protect; a hash of the whole file, as before, still counts."""
    policy, settings = tmp_path / "policy", load_settings(home=shell.home)
    key = create_signing_key(tmp_path / "witness.key", "witness.example/w1", algorithm=4).verifier_key
    first, second = (create_signing_key(tmp_path / name, "hospital.example").verifier_key for name in "ab")
    watched = settings.model_copy(update={"witness_policy_file": policy})
    policy.write_text(f"log {first}\nwitness w1 {key}\nquorum w1\n")
    with open_platform(watched) as platform:
        old = LogConfiguration(2192, hashlib.sha256(policy.read_bytes()).hexdigest())
        platform.log.write(configured_event(old, platform.asking(ADMIN)))
        check_log(platform)
        record_configured(platform)
        policy.write_text(f"# rotated\nlog {first}\nlog {second}\nwitness w1 {key}\nquorum w1\n")
        check_log(platform)
        policy.write_text(f"log {second}\nwitness w1 {key}\nquorum none\n")
        with pytest.raises(ConfigurationError, match="other witnesses"):
            check_log(platform)


def officers(shell: Shell) -> dict[str, str]:
    """Two people who may, by password."""
    return {
        name: shell.json("account", "person", name, "--role", "compliance_officer")["password"]
        for name in ("li", "wang")
    }


def stdin(monkeypatch: pytest.MonkeyPatch, *passwords: str) -> None:
    """Give passwords on standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{one}\n" for one in passwords)))


BY_NAME = ("--officer", "li", "--officer", "wang", "--passwords-stdin")


def test_two_people_without_tokens_recover_a_log_under_which_nobody_can_sign_in(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name and password; what is wrong with either leaves nothing, and the gate stays shut until it is released."""
    known = officers(shell)
    doctor = shell.json("account", "person", "dr", "--role", "clinician")["password"]
    gone = shell.json("account", "person", "gone", "--role", "compliance_officer")["password"]
    shell.run("account", "disable", "gone")
    shutil.copy(shell.home / "data.db", tmp_path / "old.db")
    shell.run("audit", "query")
    shutil.copy(tmp_path / "old.db", shell.home / "data.db")
    with pytest.raises(IntegrityFailed):
        shell.sign_in("li", known["li"])
    monkeypatch.setattr("consentry.workflows.two_people.WRONG_PASSWORD_SECONDS", 0.01)
    before = (shell.home / "data.db").read_bytes()
    for name, password in (("wang", "wrong"), ("nobody", "wrong"), ("gone", gone)):
        stdin(monkeypatch, known["li"], password)
        with pytest.raises(NotAuthenticated, match="credentials are not valid"):
            shell.run("audit", "recover", "--reason", "x", "--officer", "li", "--officer", name, "--passwords-stdin")
    stdin(monkeypatch, known["li"], doctor)
    with pytest.raises(Denied, match="may not accept"):
        shell.run("audit", "recover", "--reason", "x", "--officer", "li", "--officer", "dr", "--passwords-stdin")
    stdin(monkeypatch, known["li"])
    with pytest.raises(BadInput, match="ends before"):
        shell.run("audit", "recover", "--reason", "restored", *BY_NAME)
    with pytest.raises(BadInput, match="Two different"):
        shell.run("audit", "recover", "--reason", "restored")
    assert (shell.home / "data.db").read_bytes() == before
    stdin(monkeypatch, known["li"], known["wang"])
    told = shell.json("audit", "recover", "--reason", "restored", *BY_NAME)
    assert told["origin"].endswith("#2")
    first = shell.json("audit", "query", "--act", "log.recovered")["refs"]
    ids = {shell.json("audit", "query", "--act", "log.recovered")["refs"][f"accepted_by_{n}"] for n in (1, 2)}
    assert len(ids) == 2
    assert first["accepted_by_1"].startswith("usr_")
    with pytest.raises(IntegrityFailed, match="began anew"):
        shell.run("audit", "reconcile")
    shell.run("audit", "reconcile", "--release", "looked through")
    shell.run("audit", "reconcile")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update principal set role = 'compliance_officer' where name = 'dr'", "role"),
        ("update principal set disabled = 0 where name = 'gone'", "disabled"),
        ("update principal set secret_hash = (select secret_hash from principal where name = 'dr')", "secret"),
    ],
)
def test_account_that_was_changed_in_the_store_stands_for_nothing(shell: Shell, change: str, said: str) -> None:
    """Who can write to the store makes no officer of himself by it."""
    known = officers(shell)
    doctor = shell.json("account", "person", "dr", "--role", "clinician")["password"]
    gone = shell.json("account", "person", "gone", "--role", "compliance_officer")["password"]
    shell.run("account", "disable", "gone")
    name, password = {"role": ("dr", doctor), "disabled": ("gone", gone), "secret": ("wang", doctor)}[said]
    with open_platform(load_settings(home=shell.home)) as platform:
        assert know_officer(platform, name="li", password=known["li"]).name == "li"
    with sqlite3.connect(shell.home / "data.db") as connection:
        connection.execute(change)
    with open_platform(load_settings(home=shell.home)) as platform, pytest.raises(Denied, match=said):
        know_officer(platform, name=name, password=password)


def test_two_people_without_tokens_configure_the_log(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy that was changed keeps everybody from signing in; two people put it into use by password."""
    known, policy = officers(shell), tmp_path / "policy"
    key = create_signing_key(tmp_path / "witness.key", "witness.example/w1", algorithm=4).verifier_key
    policy.write_text(f"witness w1 {key}\nquorum w1\n")
    monkeypatch.setenv("CONSENTRY_WITNESS_POLICY_FILE", str(policy))
    with open_platform(load_settings(home=shell.home)) as platform:
        record_configured(platform)
    policy.write_text(f"witness w1 {key}\nquorum none\n")
    with pytest.raises(ConfigurationError, match="other witnesses"):
        shell.sign_in("li", known["li"])
    stdin(monkeypatch, known["li"], known["wang"])
    shell.run("audit", "configure", *BY_NAME)
    assert shell.sign_in("li", known["li"])


def test_nothing_is_added_to_a_lost_log(rolled_back: Shell, tmp_path: Path) -> None:
    """Export and configuration leave the stretch alone that shows the loss; the export holds the evidence."""

    def written() -> list[tuple[object, ...]]:
        with sqlite3.connect(rolled_back.home / "data.db") as connection:
            tables = ("audit_leaf", "audit_inbox", "audit_head", "audit_alias", "audit_detail")
            return [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in tables]

    before = written()
    with pytest.raises(IntegrityFailed, match="does not verify"):
        rolled_back.run("audit", "export", str(tmp_path / "log"))
    assert (tmp_path / "log" / "checkpoint").is_file()
    with open_platform(load_settings(home=rolled_back.home)) as platform, pytest.raises(IntegrityFailed):
        configure_log(platform, ADMIN, accepted_by=TWO)
    assert written() == before


def test_store_that_was_restored_with_its_signer_is_recovered_by_a_checkpoint_from_elsewhere(
    shell: Shell, tmp_path: Path
) -> None:
    """Everything inside agrees; what a witness or a caller kept covers more, and nobody else can tell."""
    for name in ("data.db", "signing.state"):
        shutil.copy(shell.home / name, tmp_path / name)
    shell.run("audit", "query")
    with open_platform(load_settings(home=shell.home)) as platform:
        kept = platform.log.settle()
    for name in ("data.db", "signing.state"):
        shutil.copy(tmp_path / name, shell.home / name)
    with open_platform(load_settings(home=shell.home)) as platform:
        with pytest.raises(Conflict, match="nothing to recover"):
            recover_log(platform, ADMIN, reason="restored", accepted_by=TWO)
        done = recover_log(platform, ADMIN, reason="restored", accepted_by=TWO, known=[kept.note])
    assert (done.previous.size, done.checkpoint.size) == (kept.size, 1)
    shell.run("audit", "query")


def test_rotation_says_what_others_have_to_do(shell: Shell) -> None:
    """The policy's line and the witness's option stand in the output, with the new key."""
    said = shell.run("audit", "rotate-key")
    with open_platform(load_settings(home=shell.home)) as platform:
        key = platform.signer.verifier_key
    assert f"log {key}" in said
    assert f"--log '{key}'" in said


def test_witness_policy_is_dropped_by_two_people_only(shell: Shell, tmp_path: Path) -> None:
    """A start without the policy that the log was put under is refused; two people may change it."""
    key = create_signing_key(tmp_path / "witness.key", "witness.example/w1", algorithm=4).verifier_key
    (tmp_path / "policy").write_text(f"witness w1 {key}\nquorum w1\n")
    settings = load_settings(home=shell.home)
    watched = settings.model_copy(update={"witness_policy_file": tmp_path / "policy"})
    with open_platform(watched) as platform:
        record_configured(platform)
    with open_platform(settings) as platform:
        with pytest.raises(ConfigurationError, match="other witnesses"):
            check_log(platform)
        with pytest.raises(BadInput):
            configure_log(platform, ADMIN, accepted_by=(TWO[0], TWO[0]))
        with pytest.raises(Denied):
            configure_log(platform, ADMIN, accepted_by=(TWO[0], person("dr", "clinician")))
        assert configure_log(platform, ADMIN, accepted_by=TWO).policy_hash == "none"
        check_log(platform)


def test_one_entry_is_proven_to_an_outsider(shell: Shell, tmp_path: Path) -> None:
    """Entry and proof leave the house and verify with the public key alone; another entry does not."""
    with open_platform(load_settings(home=shell.home)) as platform:
        key = str(platform.signer.verifier_key)
    first, second = (one["id"] for one in shell.json_lines("audit", "query", "--limit", "2"))
    told = shell.json("audit", "proof", first, "--out", str(tmp_path))
    other = shell.json("audit", "proof", second, "--out", str(tmp_path))
    status, _ = verify_entry(told["proof"], told["entry"], key)
    assert status == 0
    assert verify_entry(told["proof"], other["entry"], key)[0] == 1


def verify_entry(proof: str, entry: str, key: str) -> tuple[int, str]:
    """Run the verifier on one entry."""
    from audit.verifier import main

    return main(["entry", "--proof", proof, "--entry", entry, "--key", key]), ""
