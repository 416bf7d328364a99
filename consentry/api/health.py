"""Whether the service can do its work."""

from pydantic import BaseModel

from consentry.api.dependencies import PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from kernel.database import ping

router = new_router("health", is_open=True)


class Health(BaseModel):
    """Both stores answer, and the log can be signed."""

    status: str
    pack: str
    pack_version: str


@router.get("/health", responses=responses())
def health(platform: PlatformHere) -> Health:
    """Answer 200 when stores and log can be used, 503 otherwise; needs no credentials and tells nothing else."""
    ping(platform.keys)
    platform.log.settle()
    return Health(status="ok", pack=platform.catalogue.pack, pack_version=platform.catalogue.version)
