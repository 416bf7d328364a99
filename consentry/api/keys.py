"""Keys in counts, for the key custodian."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.rotate import key_status

router = new_router("keys")


class EpochBody(BaseModel):
    """One epoch that lives; `closing_at` is set while its keys move to the next one."""

    epoch_id: str
    suite: str
    custodian: str
    opened_at: datetime
    closing_at: datetime | None
    data_keys: int
    named_keys: int


class DataKeysBody(BaseModel):
    """Data keys of one suite; superseded ones seal no new value."""

    suite: str
    data_keys: int
    superseded: int
    oldest: datetime | None


class IndexBody(BaseModel):
    """One version of one blind index; rows without a sealed identifier keep an old version alive."""

    index: str
    version: int
    suite: str
    state: str
    rows: int
    unsealed: int


class NamedKeysBody(BaseModel):
    """Keys of one kind that are no data keys, and how they are rotated."""

    kind: str
    suite: str
    keys: int
    oldest: datetime
    rotated: str


class UnfinishedBody(BaseModel):
    """A rotation that has begun and not ended."""

    rotation_id: str
    kind: str
    scope: dict[str, str]
    counts: dict[str, int]


class KeysBody(BaseModel):
    """What is under which epoch, suite and version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "epochs": [
                        {
                            "epoch_id": "epo_aaaaaaaaaaaaaaaaaaaaaaaa", "suite": "aes", "custodian": "keyfile",
                            "opened_at": "2026-11-21T02:00:00Z", "closing_at": None, "data_keys": 1200, "named_keys": 9,
                        }
                    ],
                    "data_keys": [
                        {
                            "suite": "aes", "data_keys": 1200, "superseded": 0,
                            "oldest": "2026-01-05T08:00:00Z",
                        }
                    ],
                    "indexes": [
                        {
                            "index": "mobile", "version": 1, "suite": "aes", "state": "live", "rows": 800,
                            "unsealed": 0,
                        }
                    ],
                    "named_keys": [],
                    "unfinished": [],
                }
            ]
        }
    )  # fmt: skip

    epochs: list[EpochBody]
    data_keys: list[DataKeysBody]
    indexes: list[IndexBody]
    named_keys: list[NamedKeysBody]
    unfinished: list[UnfinishedBody]


@router.get("/keys", responses=responses(401, 403))
def read_keys(platform: PlatformHere, caller: Caller) -> KeysBody:
    """Count what is still under an old epoch, generation, suite or index version; names no person and no key."""
    return KeysBody.model_validate(key_status(platform, caller).as_json())
