"""Profiles: what is done with each kind, for whom; read from YAML files that ship or that a maintainer writes.

    profile: analyst
    audience: analysts inside the controller
    description: names and numbers as pseudonyms, days moved, places wider
    default: redact
    kinds:
      PERSON: pseudonymise
      DATE: shift
      AGE: {operator: generalise, years: 10}
    thresholds: {default: 0.5, PERSON: 0.45}

A kind that a profile does not name takes its default; a kind that nobody knows is redacted, which is the strictest.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deid.text.kinds import Kind
from deid.text.operators import Generalise, Keep, Mask, Operator, Pseudonym, Redact, ShiftDate, Surrogate
from deid.text.operators.pseudonyms import LEAST_LETTERS, MOST_LETTERS
from deid.text.thresholds import THRESHOLDS
from kernel.errors import NotFound
from kernel.located_yaml import Located, load

_HERE: Final = Path(__file__).parent

KEPT: Final = frozenset(
    (Kind.DATE, Kind.AGE, Kind.PLACE, Kind.ORGANIZATION, Kind.SERVICE_NUMBER, Kind.POSTCODE, Kind.URL)
)
"""Kinds that a profile may leave as they are: none of them names a person by itself."""

_GENERALISED: Final[Mapping[Kind, frozenset[str]]] = MappingProxyType(
    {
        Kind.AGE: frozenset(),
        Kind.DATE: frozenset(("year", "month")),
        Kind.ADDRESS: frozenset(("province", "city")),
        Kind.PLACE: frozenset(("province", "city")),
    }
)
"""Kinds that something wider is known of, and what."""

_MOST_THRESHOLD: Final = Decimal("0.95")
"""Above it rules without a check digit would find nothing."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is done with each kind.

    Attributes:
        name: by which it is asked for.
        audience: who may read what leaves under it.
        default: for the kinds that it does not name.
        thresholds: the least score by the name of a kind, and ``default``.
    """

    name: str
    audience: str
    description: str
    operators: Mapping[Kind, Operator]
    default: Operator
    thresholds: Mapping[str, float]

    def operator_for(self, kind: str) -> Operator:
        """Return what is done with a kind; one that nobody knows, and what could not be judged, is redacted."""
        if kind not in _KINDS or kind == Kind.WITHHELD:
            return _REDACT
        return self.operators.get(Kind(kind), self.default)

    @property
    def needs(self) -> frozenset[str]:
        """Return what a setting must have: ``tokeniser``, ``shift_days``, both or nothing."""
        return frozenset().union(self.default.needs, *(one.needs for one in self.operators.values()))


_REDACT: Final = Redact()
_KINDS: Final = frozenset(Kind)


def profile_names() -> list[str]:
    """Return the names of the profiles that ship."""
    return sorted(path.stem for path in _HERE.glob("*.yaml"))


@cache
def profile_called(name: str) -> Profile:
    """Return a profile that ships; raises ``NotFound``."""
    if name not in profile_names():
        raise NotFound(f"There is no profile {name!r}", hint=f"There are {', '.join(profile_names())}.")
    return load_profile(_HERE / f"{name}.yaml")


def load_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
        PackError: the file is no profile; with file and line of each mistake.
    """
    node = load(path).mapping(
        required={"profile", "audience", "description", "default"}, optional={"kinds", "thresholds"}
    )
    if node["profile"].text() != path.stem:
        raise node["profile"].fail("the profile is not called like its file", expected=path.stem)
    chosen = node.get("kinds")
    return Profile(
        node["profile"].text(),
        node["audience"].text(),
        node["description"].text(),
        MappingProxyType(dict(_choices(chosen)) if chosen is not None else {}),
        _operator(node["default"], None),
        MappingProxyType(_thresholds(node.get("thresholds"))),
    )


def _choices(node: Located) -> Iterator[tuple[Kind, Operator]]:
    for key, child in node.mapping().items():
        if key not in _KINDS:
            raise child.fail(f"unknown kind {key!r}", expected="a kind of docs/reference/deid-kinds.md")
        if key == Kind.WITHHELD:
            raise child.fail("what could not be judged is redacted, always", expected="no choice for it")
        yield Kind(key), _operator(child, Kind(key))


def _operator(node: Located, kind: Kind | None) -> Operator:
    """Return the operator that a node names, by its name alone or with parameters."""
    named = node if node.kind == "text" else node.mapping()["operator"]
    name = named.one_of(_MADE.keys())
    if node.kind != "text":
        node.mapping(required={"operator"}, optional=_PARAMETERS[name])
    if name == "keep" and kind not in KEPT:
        raise named.fail("this kind is never kept", expected=f"keep only for {', '.join(sorted(KEPT))}")
    if name == "shift" and kind is not Kind.DATE:
        raise named.fail("only days are moved", expected="shift for DATE")
    if name == "generalise" and kind not in _GENERALISED:
        raise named.fail(
            "nothing wider is known of this kind", expected=f"generalise only for {', '.join(_GENERALISED)}"
        )
    return _MADE[name](node, kind)


def _generalise(node: Located, kind: Kind | None) -> Operator:
    to = node.get("to") if node.kind == "mapping" else None
    years = node.get("years") if node.kind == "mapping" else None
    allowed = _GENERALISED[kind] if kind is not None else frozenset()
    if to is not None and not allowed:
        raise to.fail("ages have no such parameter", expected="years")
    if years is not None and kind is not Kind.AGE:
        raise years.fail("only ages have bands", expected="to")
    widest = {Kind.DATE: "year"}.get(kind, "province") if kind is not None else "province"
    return Generalise(
        to=widest if to is None else to.one_of(sorted(allowed)),
        years=5 if years is None else years.integer(minimum=2, maximum=30),
    )


def _pseudonym(node: Located, _: Kind | None) -> Operator:
    letters = node.get("letters") if node.kind == "mapping" else None
    return Pseudonym() if letters is None else Pseudonym(letters.integer(minimum=LEAST_LETTERS, maximum=MOST_LETTERS))


_MADE: Final[Mapping[str, Callable[[Located, Kind | None], Operator]]] = MappingProxyType(
    {
        "redact": lambda _node, _kind: _REDACT,
        "keep": lambda _node, _kind: Keep(),
        "mask": lambda _node, _kind: Mask(),
        "pseudonymise": _pseudonym,
        "surrogate": lambda _node, _kind: Surrogate(),
        "shift": lambda _node, _kind: ShiftDate(),
        "generalise": _generalise,
    }
)
_PARAMETERS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {name: frozenset() for name in _MADE}
    | {"pseudonymise": frozenset(("letters",)), "generalise": frozenset(("to", "years"))}
)


def _thresholds(node: Located | None) -> dict[str, float]:
    thresholds = dict(THRESHOLDS)
    for key, child in node.mapping().items() if node is not None else ():
        if key != "default" and key not in _KINDS:
            raise child.fail(f"unknown kind {key!r}", expected="default or a kind of docs/reference/deid-kinds.md")
        score = child.decimal()
        if not 0 <= score <= _MOST_THRESHOLD:
            raise child.fail("the threshold is out of range", expected=f"a score from 0 to {_MOST_THRESHOLD}")
        thresholds[key] = float(score)
    return thresholds
