"""Which view builds and export releases there are."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Connection, insert, select, update

from consentry.stores.tables import export_release, view_build
from kernel.errors import NotFound


@dataclass(frozen=True, slots=True)
class ViewBuild:
    """One finished build of a view."""

    view: str
    build_id: str
    row_count: int
    built_at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """One export that left, or was recalled."""

    export_id: str
    definition: str
    recipient: str
    scope: str
    row_count: int
    released_at: datetime
    recalled_at: datetime | None


def add_view_build(connection: Connection, build: ViewBuild, manifest: str) -> None:
    """Remember a finished build."""
    row = {
        "build_id": build.build_id,
        "view": build.view,
        "manifest": manifest,
        "row_count": build.row_count,
        "built_at": build.built_at,
    }
    connection.execute(insert(view_build), row)


def list_view_builds(connection: Connection, *, view: str | None = None) -> list[ViewBuild]:
    """Return the builds, newest first."""
    columns = view_build.c
    query = select(columns.view, columns.build_id, columns.row_count, columns.built_at)
    if view is not None:
        query = query.where(columns.view == view)
    return [ViewBuild(*row) for row in connection.execute(query.order_by(columns.position.desc()))]


def get_newest_build(connection: Connection, view: str) -> ViewBuild:
    """Return the newest build of a view; raises ``NotFound`` when there is none."""
    found = list_view_builds(connection, view=view)
    if not found:
        raise NotFound(f"View {view!r} was not built yet", hint=f"Run `consentry view build {view}`.")
    return found[0]


def set_build_rows(connection: Connection, build_id: str, manifest: str, row_count: int) -> None:
    """Replace a build's manifest and row count after its files were rewritten."""
    values = {"manifest": manifest, "row_count": row_count}
    connection.execute(update(view_build).where(view_build.c.build_id == build_id).values(values))


def add_release(connection: Connection, release: Release, manifest: str) -> None:
    """Remember a release."""
    row = {
        "export_id": release.export_id,
        "definition": release.definition,
        "recipient": release.recipient,
        "scope": release.scope,
        "manifest": manifest,
        "row_count": release.row_count,
        "released_at": release.released_at,
        "recalled_at": release.recalled_at,
    }
    connection.execute(insert(export_release), row)


def list_releases(connection: Connection, *, held_only: bool = False) -> list[Release]:
    """Return the releases, newest first; ``held_only`` leaves out the recalled ones."""
    query = select(export_release).order_by(export_release.c.released_at.desc(), export_release.c.export_id)
    if held_only:
        query = query.where(export_release.c.recalled_at.is_(None))
    return [
        Release(
            row.export_id, row.definition, row.recipient, row.scope, row.row_count,
            row.released_at, row.recalled_at,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def recall_release(connection: Connection, export_id: str, *, at: datetime) -> bool:
    """Mark a release as recalled; says whether it was not yet."""
    held = export_release.c.export_id == export_id, export_release.c.recalled_at.is_(None)
    return connection.execute(update(export_release).where(*held).values(recalled_at=at)).rowcount == 1


@dataclass(frozen=True, slots=True)
class Ground:
    """What a stored manifest says a build or release was made for."""

    purpose: str
    scope: str


def build_grounds(connection: Connection, build_ids: Collection[str]) -> dict[str, Ground]:
    """Return the ground of each build that is known."""
    return _grounds(connection, view_build.c.build_id, view_build.c.manifest, build_ids)


def release_grounds(connection: Connection, export_ids: Collection[str]) -> dict[str, Ground]:
    """Return the ground of each release that is known; its scope is that of the definition."""
    return _grounds(connection, export_release.c.export_id, export_release.c.manifest, export_ids)


_CHUNK: Final = 500
"""Bounds the variables of one statement."""


def _grounds(
    connection: Connection, key: Column[str], manifest: Column[str], wanted: Collection[str]
) -> dict[str, Ground]:
    names = sorted(wanted)
    found: dict[str, Ground] = {}
    for start in range(0, len(names), _CHUNK):
        query = select(key, manifest).where(key.in_(names[start : start + _CHUNK]))
        for name, text in connection.execute(query):
            content = json.loads(text)["manifest"]
            found[name] = Ground(content["purpose"], content["scope"])
    return found
