"""Whether the service can do its work."""

from typing import Literal

from pydantic import BaseModel, Field

from consent.register_head import read_head
from consentry.api.dependencies import PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.platform import Platform
from consentry.workflows.follow_wake import wake_backlog
from kernel.database import ping

router = new_router("health", is_open=True)


class WakeHealth(BaseModel):
    """What follows closing acts: how many items wait, and how many need a hand."""

    open: int = Field(description="Waiting, or being worked on.")
    dead: int = Field(description="Given up after all attempts; see `consentry consent wake --retry`.")
    oldest_open_seconds: int | None = Field(description="How long the oldest one is due or tried again.")


class LogHealth(BaseModel):
    """How far the signed checkpoint was behind the log when this was asked."""

    entries: int = Field(description="Entries under the signed checkpoint now.")
    lag_ms: int = Field(description="How long the oldest entry had waited for its checkpoint.")
    alarm: bool = Field(description="Whether that was more than a second.")


class Health(BaseModel):
    """Both stores answer, and the log can be signed."""

    status: str
    gate: Literal["open", "suspended"] = Field(
        description="Whether the gate answers; why it does not is told to staff."
    )
    log: LogHealth
    pack: str
    pack_version: str
    wake: WakeHealth


@router.get("/health", responses=responses())
def health(platform: PlatformHere) -> Health:
    """Answer 200 when stores and log can be used, 503 otherwise; needs no credentials and tells nothing else."""
    ping(platform.keys)
    return Health(
        status="ok",
        gate=_gate(platform),
        log=_log(platform),
        pack=platform.catalogue.pack,
        pack_version=platform.catalogue.version,
        wake=_wake(platform),
    )


def _gate(platform: Platform) -> Literal["open", "suspended"]:
    with platform.data.read() as connection:
        _, suspended = read_head(connection)
    return "open" if suspended is None else "suspended"


def _log(platform: Platform) -> LogHealth:
    lag = platform.log.lag()
    signed = platform.log.settle()
    waited = round(lag.oldest.total_seconds() * 1000)
    return LogHealth(entries=signed.size, lag_ms=waited, alarm=lag.is_alarming)


def _wake(platform: Platform) -> WakeHealth:
    unfinished, dead, oldest = wake_backlog(platform)
    waits = None if oldest is None else round(oldest.total_seconds())
    return WakeHealth(open=unfinished, dead=dead, oldest_open_seconds=waits)
