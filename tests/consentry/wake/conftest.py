"""People in two builds of each view, with tags and a release; what the wake has to clear away."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from sqlalchemy import func, select

from audit.entries import decode_entry
from audit.tables import inbox, leaf
from consent.wake import WakeItem
from consentry.platform import Platform
from consentry.rewriting import read_rows
from consentry.stores.builds import list_view_builds
from consentry.stores.tables import tag_value
from consentry.stores.tag_values import list_runs
from consentry.workflows.build_view import build_view
from consentry.workflows.run_tags import run_tags
from kernel.encoding import JsonValue
from kernel.ids import SubjectId

VIEWS = ("event_rows", "subject_profile")


@dataclass
class Shelf:
    """What was derived, and short forms of looking for one person in it."""

    platform: Platform
    captured: object
    people: list[SubjectId] = field(default_factory=list)

    def fill(self, count: int, *, builds: int = 2, recipient: str | None = None) -> None:
        """Register alike people with a diagnosis, and derive views and tags of them."""
        captured = self.captured
        sharing = {} if recipient is None else {"P12": recipient}
        names = [f"u-{number}" for number in range(count)]
        self.people += captured.people(names, "P02", "P07", birth_date="1980-05-20", sharing=sharing)
        posted = {"diagnosis": ["icd10:I10"], "birth_date": "1980-05-20", "sex": "female"}
        captured.store([captured.posted(f"u-{n}", number=f"r-{n}", **posted) for n in range(count)])
        for _ in range(builds):
            for view in VIEWS:
                build_view(self.platform, captured.caller, view)
            run_tags(self.platform, captured.caller)

    def names(self, subject: SubjectId) -> set[str]:
        return set(self.platform.products.names_of(subject).values())

    def rows_of(self, subject: SubjectId) -> int:
        """The subject's rows in the files of every build and run."""
        layout, names = self.platform.layout, self.names(subject)
        with self.platform.data.read() as connection:
            files = [layout.view_file(b.view, b.build_id) for b in list_view_builds(connection)]
            files += [layout.tags_file(run.run_id) for run in list_runs(connection)]
        return sum(name in names for file in files for name in read_rows(file)["pseudonym"].to_pylist())

    def tags_of(self, subject: SubjectId) -> int:
        """The subject's stored tag values."""
        with self.platform.data.read() as connection:
            names = tag_value.c.pseudonym.in_(self.names(subject))
            return connection.scalar(select(func.count()).select_from(tag_value).where(names)) or 0

    def items(self, subject: SubjectId) -> list[WakeItem]:
        with self.platform.data.read() as connection:
            return self.platform.wake.of_subject(connection, subject)

    def outcomes(self, subject: SubjectId) -> dict[str, str]:
        """How each item ended, by handler and target."""
        found = {}
        for item in self.items(subject):
            ended = item.outcome["result"] if item.outcome else item.state.value
            found[f"{item.handler} {item.target}".strip()] = ended
        return found

    def entries(self, act: str) -> list[Mapping[str, JsonValue]]:
        """The log's entries of one act, in order."""
        with self.platform.data.read() as connection:
            bodies = connection.scalars(select(leaf.c.body).order_by(leaf.c.leaf_index)).all()
            bodies = [*bodies, *connection.scalars(select(inbox.c.body).order_by(inbox.c.seq))]
        return [entry for entry in map(decode_entry, bodies) if entry["act"] == act]


@pytest.fixture
def shelf(platform, captured) -> Shelf:
    """An empty shelf."""
    return Shelf(platform, captured)


@pytest.fixture(scope="session")
def shelving() -> Callable[..., Shelf]:
    """Makes shelves over platforms that a test opened itself."""
    return Shelf
