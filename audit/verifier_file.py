"""The verifier as one program in one file, to be handed to whoever checks the log."""

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

from kernel.errors import BadInput, Unavailable

_PACKAGE: Final = "audit.verifier"
_MAIN: Final = "command"

_HEAD: Final = '''\
#!/usr/bin/env python3
"""consentry-verify: verify an exported audit log offline / 离线校验导出的审计日志.

This one file is the whole verifier. It needs Python 3.10 or newer and the package `cryptography`, opens no network
connection, and writes nothing. 本文件即完整的校验程序,只需 Python 3.10 以上与 cryptography,不联网,不写文件。

    python consentry_verify.py log DIR --key PUBLIC_KEY
    python consentry_verify.py --help

It is made from the modules of `audit.verifier`, one after the other; the formats are those of RFC 9162 and
c2sp.org (signed-note, tlog-checkpoint, tlog-tiles, tlog-cosignature, tlog-proof, tlog-policy).
"""

'''

_TAIL: Final = """

if __name__ == "__main__":
    sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class _Module:
    """One module of the verifier, taken apart."""

    name: str
    docstring: str
    imports: frozenset[tuple[str, str]]
    needs: tuple[str, ...]
    names: tuple[str, ...]
    body: str


def write_verifier(path: Path) -> Path:
    """Write the verifier as one program; the same modules make the same bytes.

    Raises:
        BadInput: the file exists already.
        Unavailable: it cannot be written.
    """
    text = verifier_text()
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise BadInput("The file exists already", hint="Name a new file.") from None
    except OSError as err:
        raise Unavailable(f"The verifier cannot be written: {err.strerror}", hint="Name another file.") from None
    return path


def verifier_text() -> str:
    """Return the program: docstring, merged imports, then each module after those that it needs."""
    return join_modules({name: _source(name) for name in _reached(_MAIN)})


def join_modules(sources: Mapping[str, str]) -> str:
    """Join the sources of modules, by name, in an order in which each stands after those that it needs.

    Raises:
        ValueError: two modules define one name, or one imports otherwise than by ``from module import name``.
    """
    modules = [_taken_apart(name, source) for name, source in sources.items()]
    imports = {("", "sys")}.union(*(module.imports for module in modules))
    _check_names(modules, [name for _, name in imports])
    parts = [f"\n\n# --- {module.name}: {module.docstring}\n\n{module.body}\n" for module in modules]
    return _HEAD + "\n".join(_import_lines(imports)) + "\n" + "".join(parts) + _TAIL


def _source(name: str) -> str:
    return files(_PACKAGE).joinpath(f"{name}.py").read_text(encoding="utf-8")


def _reached(name: str, known: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return a module and all that it needs, each after what it needs itself."""
    for needed in _taken_apart(name, _source(name)).needs:
        if needed not in known:
            known = _reached(needed, known)
    return (*known, name)


def _taken_apart(name: str, source: str) -> _Module:
    tree = ast.parse(source)
    needs: list[str] = []
    imports: set[tuple[str, str]] = set()
    names: list[str] = []
    dropped: list[ast.stmt] = tree.body[:1]
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            dropped.append(node)
            needed = _needed(node)
            needs += [needed] if needed else []
            imports |= set() if needed else set(_imported(node))
        names += _defined(node)
    docstring = (ast.get_docstring(tree) or "").partition("\n")[0]
    return _Module(name, docstring, frozenset(imports), tuple(needs), tuple(names), _without(source, dropped))


def _needed(node: ast.Import | ast.ImportFrom) -> str | None:
    """Return the module of the package that is imported from, or None."""
    of_package = [alias for alias in node.names if alias.name.startswith(_PACKAGE)]
    module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
    if of_package or module == _PACKAGE or any(alias.asname for alias in node.names):
        raise ValueError("a module of the verifier imports names from modules only, each under its own name")
    return module.removeprefix(f"{_PACKAGE}.") if module.startswith(f"{_PACKAGE}.") else None


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Yield module and name of what a statement imports; the module is empty where a module itself is imported."""
    module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        yield module, alias.name


def _import_lines(imports: Collection[tuple[str, str]]) -> Iterator[str]:
    """Yield one statement for each module."""
    for module, names in groupby(sorted(imports), key=itemgetter(0)):
        joined = [name for _, name in names]
        yield from [f"from {module} import {', '.join(joined)}"] if module else [f"import {name}" for name in joined]


def _defined(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _without(source: str, dropped: Sequence[ast.stmt]) -> str:
    """Return the source without some statements, the blank lines around them gone."""
    gone = {line for node in dropped for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    kept = [line for number, line in enumerate(source.splitlines(), start=1) if number not in gone]
    return "\n".join(kept).strip("\n")


def _check_names(modules: Sequence[_Module], imported: Sequence[str]) -> None:
    names = Counter([*(name for module in modules for name in module.names), *imported])
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise ValueError(f"two modules of the verifier define {', '.join(twice)}")
