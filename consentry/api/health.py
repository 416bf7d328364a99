"""Whether the service can do its work."""

from fastapi import APIRouter
from pydantic import BaseModel

from consentry.api.dependencies import PlatformHere
from kernel.database import ping

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """Both stores answer."""

    status: str
    pack: str
    pack_version: str


@router.get("/health")
def health(platform: PlatformHere) -> Health:
    """Answer 200 when both stores can be read, 503 otherwise; needs no credentials and tells nothing else."""
    ping(platform.data)
    ping(platform.keys)
    return Health(status="ok", pack=platform.catalogue.pack, pack_version=platform.catalogue.version)
