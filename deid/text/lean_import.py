"""Import a library without the heavy dependencies that it names and we do not use.

presidio-analyzer imports spaCy for names in annotations and tldextract for one recognizer. Here no model runs and that
recognizer is not registered, yet the two would cost a second, bring spaCy's model downloader into the process and,
through tldextract's HTTP client, open a socket on import.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import Lock
from types import ModuleType
from typing import Final

from kernel.errors import ConfigurationError

_import_lock: Final = Lock()


@contextmanager
def without(roots: Iterable[str]) -> Iterator[None]:
    """Within the block, importing any of these packages or their modules gives an empty stand-in.

    A package that is already loaded stays. Afterwards the stand-ins are forgotten: whoever imports the packages later
    gets the real ones, while what was imported within the block keeps the stand-ins.
    """
    with _import_lock:
        finder = _StandIns(frozenset(root for root in roots if root not in sys.modules))
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            for name in [name for name, module in sys.modules.items() if isinstance(module, _StandIn)]:
                del sys.modules[name]


def whole(name: str) -> ModuleType:
    """Import a package as it is, and not while somebody else imports without it.

    What was imported without it keeps its stand-ins; whoever wants both takes this package by itself.

    Raises:
        ConfigurationError: it is not installed.
    """
    with _import_lock:
        try:
            return import_module(name)
        except ModuleNotFoundError as err:
            raise ConfigurationError(f"{name} is not installed", hint=f"Install {name} beside this package.") from err


class _NothingType(type):
    def __getattr__(cls, name: str) -> "_NothingType":
        _refuse_protocols(name)
        return cls


class _Nothing(metaclass=_NothingType):
    """Can be annotated with, inherited from, called and used as a decorator, and does nothing."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        pass

    def __call__(self, *_arguments: object, **_options: object) -> "_Nothing":
        return self


class _StandIn(ModuleType):
    """A module in which every public name is ``_Nothing``, but for what loads a model: it would find nothing."""

    def __getattr__(self, name: str) -> type[_Nothing]:
        _refuse_protocols(name)
        if name == "load":
            raise ConfigurationError(
                f"{self.__name__} was left out when presidio-analyzer was imported",
                hint="Where its models are to be used, import presidio_analyzer before the first text is scrubbed.",
            )
        return _Nothing


def _refuse_protocols(name: str) -> None:
    """Python asks objects for double-underscore names to learn what they can do: nothing."""
    if name.startswith("__"):
        raise AttributeError(name)


class _StandIns(MetaPathFinder, Loader):
    """Finds a stand-in for every module under the given roots."""

    def __init__(self, roots: frozenset[str]) -> None:
        self._roots = roots

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        """Claim the names under our roots, leave all others to Python."""
        return ModuleSpec(fullname, self, is_package=True) if fullname.partition(".")[0] in self._roots else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return an empty module."""
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""
