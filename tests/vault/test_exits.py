"""The ways out of the package: none for a key, one for plaintext."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

import vault
from kernel.errors import Denied
from tests.vault.decryptions import DRIVEN, INSIDE, watched
from vault.envelope import DataKey

ROOT = Path(vault.__file__).parents[1]
OTHERS = ("kernel", "audit", "consent", "deid", "tagging", "consentry", "benchmarks")
KEY_TYPES = ("DataKey", "WrappingKey", "MacKey", "UnlockedKeys", "Keyring")


def public_modules() -> Iterator[object]:
    for module in pkgutil.iter_modules(vault.__path__):
        if not module.name.startswith("_"):
            yield importlib.import_module(f"vault.{module.name}")


def public_and_private_modules() -> Iterator[object]:
    for module in pkgutil.walk_packages(vault.__path__, "vault."):
        yield importlib.import_module(module.name)


def public_callables() -> Iterator[tuple[str, object]]:
    """Yield every public function and method that a public module defines."""
    for module in public_modules():
        for name, member in vars(module).items():
            if name.startswith("_") or getattr(member, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(member):
                yield f"{module.__name__}.{name}", member
            elif inspect.isclass(member):
                for method, function in inspect.getmembers(member, inspect.isfunction):
                    if not method.startswith("_"):
                        yield f"{module.__name__}.{name}.{method}", function


def test_nothing_public_returns_a_key():
    """No public function or method says that it returns a key; only the envelope's own type has them as arguments."""
    returned = {
        name: str(inspect.signature(function).return_annotation)
        for name, function in public_callables()
        if any(kind in str(inspect.signature(function).return_annotation) for kind in KEY_TYPES)
    }
    assert returned == {}


def plaintext_types() -> set[str]:
    """Return the names of the package's types that hold values of people: those that hide them when printed."""
    found = set()
    for module in public_and_private_modules():
        for name, member in vars(module).items():
            is_ours = inspect.isclass(member) and member.__module__ == module.__name__
            shown = vars(member).get("__repr__") if is_ours else None
            if shown is not None and any("redacted" in str(text) for text in shown.__code__.co_consts):
                found.add(name)
    return found


def test_plaintext_comes_out_of_methods_that_take_permit_and_receipt_only():
    """Whatever says that it returns a value in clear, alone, in a list or in a batch, takes both, without a default."""
    kinds = plaintext_types() - GIVEN | {"RecordBatch"}
    assert kinds >= {"OpenedRecord", "FieldVersion", "CurrentValue", "OpenedAttachment"}
    exits = {
        name: inspect.signature(function)
        for name, function in public_callables()
        if any(kind in str(inspect.signature(function).return_annotation) for kind in kinds)
    }
    assert exits.keys() >= {
        "vault.records.Vault.open",
        "vault.records.Vault.open_cohort",
        "vault.attachments.Attachments.open",
    }
    for name, signature in exits.items():
        assert {"permit", "receipt"} <= signature.parameters.keys() or name in HARMLESS, name
        for gate in ("permit", "receipt") if name not in HARMLESS else ():
            assert signature.parameters[gate].default is inspect.Parameter.empty
            assert gate in str(signature.parameters[gate].annotation).lower()


GIVEN = {
    "ColumnChunk", "Correction", "Details", "Encoded", "IdentityKeys", "Mark", "Mention", "NewAttachment",
    "PlainRecord", "Stated", "Upload",
}  # fmt: skip
"""Types that hold what somebody outside has handed in; nothing that was opened."""

HARMLESS = {
    "vault.masking.mask_records": "is given opened records, and returns less of them",
    "vault.masking.mask_version": "as mask_records",
}
"""Public functions that return values which they were given in clear."""


def test_no_other_part_imports_what_is_private():
    """Modules with an underscore, and the envelope, belong to the package."""
    offenders = []
    for path in (path for name in OTHERS for path in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if path.parts[-2] != "benchmarks" and any(n.startswith(("vault._", "vault.envelope")) for n in names):
                offenders.append(str(path.relative_to(ROOT)))
    assert offenders == []


def test_the_vault_object_holds_no_key_between_calls(house):
    """After storing and opening no data key is reachable from the vault."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    house.open(subject, "P02", "diagnosis")
    house.sealer.release()
    house.pseudonyms.release()
    assert reachable_keys(house.vault) == []
    house.sealer.seal_details({}, context="c")
    assert len(reachable_keys(house.vault)) == 1, "the search must be able to find a key"


def reachable_keys(start: object) -> list[DataKey]:
    """Return the data keys that can be reached from an object through attributes and containers."""
    seen: set[int] = set()
    found: list[DataKey] = []
    waiting = [start]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, DataKey):
            found.append(thing)
        if isinstance(thing, dict):
            waiting.extend(thing.values())
        elif isinstance(thing, list | tuple | set):
            waiting.extend(thing)
        elif type(thing).__module__.split(".")[0] in {"vault", "audit", "consent", "kernel"}:
            slots = getattr(type(thing), "__slots__", ())
            waiting.extend(getattr(thing, "__dict__", {}).values())
            waiting.extend(getattr(thing, slot) for slot in slots if hasattr(thing, slot))
    return found


# --- every way to a decryption, found in the code


SINKS = frozenset({"vault.envelope.open_many", "vault.envelope.open_value", "vault._content.ContentKey._open"})
"""Where sealed bytes become plaintext."""

COMMON = frozenset({
    "add", "as_json", "begin", "check", "close", "decode", "digest", "drop", "encode", "erase", "execute", "get",
    "join", "label", "load", "make", "name", "open", "read", "unwrap", "wrap", "write",
})  # fmt: skip
"""Names of methods that also files, texts and connections have: a call of one says nothing of whose it is."""

PACKAGE = Path(vault.__file__).parent


class Calls:
    """Which function of the package calls which, as far as names tell; more rather than fewer."""

    def __init__(self) -> None:
        self.functions: dict[str, tuple[str, str | None, ast.FunctionDef]] = {}
        self._methods: dict[str, list[str]] = {}
        self._imported: dict[str, dict[str, str]] = {}
        for path in PACKAGE.rglob("*.py"):
            module = ".".join(("vault", *path.relative_to(PACKAGE).with_suffix("").parts))
            self._read(module, ast.parse(path.read_text(encoding="utf-8")))

    def _read(self, module: str, tree: ast.Module) -> None:
        imports = [one for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
        self._imported[module] = {a.asname or a.name: f"{one.module}.{a.name}" for one in imports for a in one.names}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                self.functions[f"{module}.{node.name}"] = (module, None, node)
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef):
                    named = f"{module}.{node.name}.{method.name}"
                    self.functions[named] = (module, node.name, method)
                    self._methods.setdefault(method.name, []).append(named)

    def of(self, function: str) -> Iterator[str]:
        """Yield what a function calls, or hands on to be called."""
        module, owner, body = self.functions[function]
        for node in ast.walk(body):
            if isinstance(node, ast.Name):
                found = self._imported[module].get(node.id, f"{module}.{node.id}")
                yield from (name for name in (found, f"{found}.__init__") if name in self.functions)
            elif isinstance(node, ast.Attribute):
                own = f"{module}.{owner}.{node.attr}"
                is_self = isinstance(node.value, ast.Name) and node.value.id == "self" and own in self.functions
                yield from [own] if is_self else self._of_others(node.attr)

    def _of_others(self, method: str) -> list[str]:
        known = self._methods.get(method, [])
        return known if len(known) == 1 and method not in COMMON else []


def ways_to_plaintext() -> set[str]:
    """Return every public function and method from which a sink can be reached; custodians see epoch keys only."""
    calls = Calls()
    below = {name: set(calls.of(name)) for name in calls.functions}
    reached = set(SINKS)
    while found := {name for name, called in below.items() if called & reached} - reached:
        reached |= found
    public = {name for name in reached if not any(part.startswith("_") for part in name.split("."))}
    return {name for name in public if not name.startswith("vault.custodian")}


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


def _modules() -> set[str]:
    return {module.name for module in pkgutil.walk_packages(vault.__path__, "vault.")}


def signature_of(name: str) -> inspect.Signature:
    """Return the signature of a function or method by its name."""
    module = next(one for one in _parents(name) if one in _modules())
    thing: object = importlib.import_module(module)
    for part in name.removeprefix(f"{module}.").split("."):
        thing = getattr(thing, part)
    assert callable(thing)
    return inspect.signature(thing)


def test_every_public_way_to_a_value_takes_permit_and_receipt():
    """Walks the package's calls: who reaches a decryption without both is listed here, with the reason."""
    ways = ways_to_plaintext()
    assert "vault.records.Vault.open" in ways, "the walk finds what there is"
    assert ways >= {"vault.attachments.Attachments.open", "vault.records.Vault.open_cohort"}
    unexplained = set()
    for name in ways - INSIDE.keys():
        parameters = signature_of(name).parameters
        takes_both = {"permit", "receipt"} <= parameters.keys()
        if not takes_both or parameters["receipt"].default is not inspect.Parameter.empty:
            unexplained.add(name)
    assert unexplained == set()


def test_what_opens_without_a_receipt_returns_no_plaintext():
    """Nothing that is listed as internal returns one of the types that hold values."""
    plaintext = ("OpenedRecord", "FieldVersion", "CurrentValue", "OpenedAttachment", "RecordBatch", "PlainRecord")
    ours = {name for name in INSIDE if not name.startswith("vault.envelope.")}
    returned = {name: str(signature_of(name).return_annotation) for name in ours & ways_to_plaintext()}
    assert {name: said for name, said in returned.items() if any(kind in said for kind in plaintext)} == {}


def test_receipt_is_redeemed_before_the_first_byte_is_decrypted(house):
    """Each exit, driven: a redeemed receipt stands behind every decryption."""
    subjects = [house.subject(), house.subject()]
    one = subjects[0]
    house.store(*[house.record(subject, "profile", diagnosis="icd10:I10", name="n") for subject in subjects])
    with watched() as seen:
        house.open(one, "P02", "diagnosis")
        permit = house.permit(subjects, "P02", "diagnosis")
        list(house.vault.open_cohort(permit, house.receipt(permit), fields=["diagnosis"]))
        permit = house.permit(one, "P02", "diagnosis")
        house.vault.open_history(permit, house.receipt(permit), subject=one, fields=["diagnosis"])
        permit = house.permit(one, "P02", "name")
        house.vault.open_current(permit, house.receipt(permit), subject=one, fields=["name"])
    assert of_values(seen.without) == set()
    doors = {door.rpartition(".")[2] for door in seen.behind_receipt}
    assert doors >= {"open", "_cohort", "open_history", "open_current"}


def test_receipt_of_another_permit_decrypts_nothing(house):
    """The refusal comes before any key is used."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10", name="n"))
    asked, other = house.permit(subject, "P02", "name"), house.permit(subject, "P02", "name")
    receipt = house.receipt(other)
    with watched() as seen, pytest.raises(Denied):
        house.vault.open(asked, receipt, subject=subject, fields=["name"])
    assert of_values(seen.without) == of_values(seen.behind_receipt) == set()


def test_units_inside_decrypt_through_listed_doors_only(house):
    """Erasure and whatever reseals: what is decrypted there stays behind a door that is listed here."""
    subjects = [house.subject(), house.subject()]
    values = {"diagnosis": "icd10:I10", "consult_chat": "c", "name": "n", "order_amount": "1"}
    house.store(*[house.record(subject, "profile", **values) for subject in subjects])
    with watched() as seen:
        house.erase(subjects[0])
        house.vault.find_conflicts(subjects)
        house.restarted().eraser.resume()
    assert seen.behind_receipt == {}
    assert of_values(seen.without) <= INSIDE.keys() | DRIVEN.keys()


def of_values(doors: Collection[str]) -> set[str]:
    """Return the doors to values of people, without the one to words beside entries."""
    return {door for door in doors if not door.startswith("vault.details.")}
