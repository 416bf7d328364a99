"""The facts of a breach out of what people say of it: numbers that fit, timers that never move later."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from consentry.breach_acts import BreachReport
from consentry.breach_duties import Facts, Profile
from kernel.errors import BadInput

_EEA: Final = (
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT",
    "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
)  # fmt: skip
"""The European Economic Area (ISO 3166-1), where GDPR holds."""

PROFILES: Final[Mapping[str, Profile]] = {
    "CN": Profile.PIPL,
    "US": Profile.HIPAA,
    **dict.fromkeys(_EEA, Profile.GDPR),
}
"""The law of each jurisdiction that a pack may name."""


class Named(NamedTuple):
    """How many subjects are named one by one, and how many of them are minors."""

    people: int
    minors: int


def facts_from(
    report: BreachReport, before: Facts | None, *, now: datetime, named: Named, by_place: Profile | None
) -> Facts:
    """Return the facts after a report; what it leaves out stays as it was.

    Args:
        report: what people say.
        before: None at the opening.
        now: not before the latest entry's time.
        named: the subjects of the report's own list.
        by_place: the law of the deployment's jurisdiction.
    Raises:
        BadInput: the numbers contradict each other or the list, the breach would be learned of later, or no law fits.
    """
    known = before or Facts(now, 0, 0, 0, is_estimate=False, is_critical=False, profiles=frozenset())
    facts = Facts(
        aware_at=report.aware_at or known.aware_at,
        people=max(named.people, known.people) if report.people is None else report.people,
        minors=max(named.minors, known.minors) if report.minors is None else report.minors,
        sensitive=known.sensitive if report.sensitive is None else report.sensitive,
        is_estimate=known.is_estimate if report.estimate is None else report.estimate,
        is_critical=known.is_critical if report.critical is None else report.critical,
        profiles=_profiles(report, known, by_place),
    )
    if facts.aware_at > known.aware_at:
        raise BadInput("A breach is not learned of later", hint="Give the first moment that anybody knew.")
    if facts.people < named.people or not named.minors <= facts.minors <= facts.people:
        raise BadInput("The numbers do not fit the subjects that are named", hint="People include all who are named.")
    says_so = report.people is not None or report.sensitive is not None
    if says_so and facts.sensitive > facts.people:
        raise BadInput("More people have sensitive data than there are people", hint="Count people in `sensitive` too.")
    return facts


def _profiles(report: BreachReport, known: Facts, by_place: Profile | None) -> frozenset[Profile]:
    if report.profiles is not None:
        return frozenset(Profile(name) for name in report.profiles)
    if known.profiles:
        return known.profiles
    if by_place is None:
        raise BadInput("The law that the breach falls under is not known", hint="Name it in `profiles`.")
    return frozenset({by_place})
