"""The ways out of the package: none for a key, one for plaintext."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import vault
from vault.envelope import DataKey

ROOT = Path(vault.__file__).parents[1]
OTHERS = ("kernel", "audit", "consent", "deid", "tagging", "consentry", "benchmarks")
KEY_TYPES = ("DataKey", "WrappingKey", "MacKey", "UnlockedKeys", "Keyring")


def public_modules() -> Iterator[object]:
    for module in pkgutil.iter_modules(vault.__path__):
        if not module.name.startswith("_"):
            yield importlib.import_module(f"vault.{module.name}")


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


def test_plaintext_records_come_out_of_two_methods_only():
    """OpenedRecord is returned by open and open_cohort, and both take permit and receipt."""
    exits = {
        name: function
        for name, function in public_callables()
        if "OpenedRecord" in str(inspect.signature(function).return_annotation)
    }
    assert set(exits) == {"vault.records.Vault.open", "vault.records.Vault.open_cohort"}
    for function in exits.values():
        parameters = inspect.signature(function).parameters
        assert parameters["permit"].annotation.__name__ == "Permit"
        assert parameters["receipt"].annotation.__name__ == "Receipt"
        assert parameters["receipt"].default is inspect.Parameter.empty


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
