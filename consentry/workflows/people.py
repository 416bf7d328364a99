"""Who some acts are about: resolves references in memory, and takes back what a refused registration left."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from consentry.acts import ConsentAct, SubjectReference
from consentry.platform import Platform
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import BatchId, SubjectId, new_id
from vault.returning import Return
from vault.subjects import IdentityKeys, Resolution, ResolutionKind

ACCOUNT_PURPOSE: Final = "P01"
"""A contract for this purpose opens an account, and with it registers a person."""


@dataclass
class People:
    """The subjects behind the references of some acts.

    ``linked`` holds what was stored to find the registering people again, all under ``batch``. ``returns`` tells of
    those among them who came back after an erasure and are not registered yet, by their fresh subject.
    """

    platform: Platform
    batch: BatchId
    by_reference: dict[SubjectReference, Resolution] = field(default_factory=dict)
    linked: list[tuple[SubjectId, IdentityKeys]] = field(default_factory=list)
    registering: set[SubjectId] = field(default_factory=set)
    returns: dict[SubjectId, Return] = field(default_factory=dict)

    def subject_of(self, act: ConsentAct) -> SubjectId:
        """Return whom an act is about; that the subject is registered is for the registry to check.

        Raises:
            NotFound: nobody is known by this reference.
            Conflict: the reference could be several people.
        """
        return self._get(act.subject)

    def actor_of(self, act: ConsentAct) -> SubjectId:
        """Return the guardian or agent of an act; raises as ``subject_of``."""
        if act.actor.subject is None:
            raise BadInput("This act needs its guardian or agent", hint="Give actor.subject.")
        return self._get(act.actor.subject)

    def whom(self, act: ConsentAct) -> set[SubjectId]:
        """Return those whom an act is about or by, as far as they were found."""
        found = (self._find(reference) for reference in _references(act))
        return {subject for subject in found if subject is not None}

    def unresolved(self, act: ConsentAct) -> list[SubjectReference]:
        """Return the references of an act that lead to nobody, or to several people."""
        return [reference for reference in _references(act) if self._find(reference) is None]

    def keep_only(self, registered: Collection[SubjectId]) -> None:
        """Remove the index entries of people whose registration was refused, and the keys that sealed their copies.

        Who had come back is found as what the erasure left again.
        """
        kept = [(subject, keys) for subject, keys in self.linked if subject in registered]
        if len(kept) < len(self.linked):
            self.platform.resolver.link(kept, batch=None)
            self.platform.resolver.unlink_batch(self.batch)
            self.platform.returner.take_back(
                [one for subject, one in self.returns.items() if subject not in registered]
            )
            self.platform.keystore.drop_keys_of_nobody(self.batch)

    def _find(self, reference: SubjectReference) -> SubjectId | None:
        if reference.subject_id is not None:
            return SubjectId(reference.subject_id)
        found = self.by_reference[reference]
        if found.candidates or (found.kind is ResolutionKind.NEW and found.subject not in self.registering):
            return None
        return found.subject

    def _get(self, reference: SubjectReference) -> SubjectId:
        found = self._find(reference)
        if found is not None:
            return found
        if self.by_reference[reference].candidates:
            raise Conflict(
                "The person cannot be told from another", hint="A person must decide; the act was not recorded."
            )
        raise not_registered()


def not_registered() -> NotFound:
    """Return the error for somebody who has no account, or no longer."""
    return NotFound(
        "The person is not registered", hint=f"Record a contract for {ACCOUNT_PURPOSE} that identifies them first."
    )


def is_registration(act: ConsentAct) -> bool:
    """Say whether an act opens an account; an id of ours names somebody who has one."""
    return act.act == "contract" and ACCOUNT_PURPOSE in act.purposes and act.subject.subject_id is None


def names_ids_only(act: ConsentAct) -> bool:
    """Say whether everybody in an act is named by an id of ours or the source's, and by nothing that identifies them.

    Who knows an id knows the person already; who sends numbers, birth dates or mobiles may be trying them out.
    """
    return not any(r.id_number or r.mobile or r.birth_date or r.sex for r in _references(act))


def sources_of(act: ConsentAct) -> frozenset[str]:
    """Return the sources by which an act names people."""
    return frozenset(reference.source for reference in _references(act) if reference.source is not None)


def check_says_age(act: ConsentAct) -> None:
    """Raise ``BadInput`` for a registration that does not say how old the person is.

    Whether a guardian must decide hangs on it (R21): nobody is registered with an unknown age.
    """
    if is_registration(act) and act.subject.subject_id is None and act.subject.stated_birth_date is None:
        raise BadInput("A registration needs the birth date", hint="Give birth_date, or an id_number, which holds it.")


def resolve_people(platform: Platform, acts: Sequence[ConsentAct]) -> People:
    """Resolve every reference of some acts, in their order, and link the people whom they register.

    Who registers and is known only by what an erasure left gets a fresh subject; see ``vault.returning``.

    Raises:
        Conflict: another call registered one of them in this moment; nothing of them was stored.
    """
    people = People(platform, BatchId(new_id("bat")))
    references = [r for act in acts for r in _references(act) if r.subject_id is None]
    unique = list(dict.fromkeys(references))
    found = platform.resolver.resolve_many([_keys(reference) for reference in unique])
    people.by_reference.update(zip(unique, found, strict=True))
    _bring_back(people, acts)
    for reference in dict.fromkeys(act.subject for act in acts if is_registration(act)):
        subject = people.by_reference[reference].subject
        if subject is not None:
            people.linked.append((subject, _keys(reference)))
            people.registering.add(subject)
    if people.linked:
        platform.resolver.link(people.linked, batch=people.batch)
    return people


def _bring_back(people: People, acts: Sequence[ConsentAct]) -> None:
    """Let every reference to somebody who comes back lead to the fresh subject."""
    asked: dict[SubjectId, datetime] = {}
    for act in acts:
        if is_registration(act) and act.subject.stated_birth_date is not None:
            found = people.by_reference[act.subject]
            if found.kind is ResolutionKind.KNOWN and found.subject is not None:
                asked[found.subject] = max(act.at, asked.get(found.subject, act.at))
    fresh = people.platform.returner.come_back(asked, batch=people.batch)
    for reference, found in people.by_reference.items():
        if found.subject in fresh:
            people.by_reference[reference] = replace(found, subject=fresh[found.subject])
    people.returns |= people.platform.returner.find_unregistered({fresh.get(known, known) for known in asked})


def _references(act: ConsentAct) -> list[SubjectReference]:
    return [reference for reference in (act.subject, act.actor.subject) if reference is not None]


def _keys(reference: SubjectReference) -> IdentityKeys:
    return IdentityKeys(
        source=reference.source or "",
        source_subject=reference.id,
        id_number=None if reference.id_number is None else reference.id_number.get_secret_value(),
        birth_date=reference.stated_birth_date,
        sex=reference.sex,
        mobile=None if reference.mobile is None else reference.mobile.get_secret_value(),
    )
