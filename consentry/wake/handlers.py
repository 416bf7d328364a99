"""The handlers of this product, in the order in which they are planned."""

from consent.wake import Handler
from consentry.wake.exports import ExportsHandler
from consentry.wake.parts import WakeParts
from consentry.wake.tags import TagsHandler
from consentry.wake.vault import VaultHandler
from consentry.wake.views import ViewsHandler
from consentry.wake.webhooks import WebhooksHandler


def handlers_of(parts: WakeParts) -> tuple[Handler, ...]:
    """Return every handler."""
    return (
        ViewsHandler(parts),
        TagsHandler(parts),
        ExportsHandler(parts),
        VaultHandler(parts),
        WebhooksHandler(parts),
    )
