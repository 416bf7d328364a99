"""Two custodians at once, while epoch keys move from one to the other."""

from vault.custodian import Custodian, RootKeyWrong


class EitherCustodian:
    """Wraps by the first, unwraps by whichever wrapped; implements ``Custodian``.

    Args:
        first: new epoch keys are wrapped by this one.
        also: what it wrapped can still, or already, be read.
    """

    def __init__(self, first: Custodian, also: Custodian) -> None:
        self._first = first
        self._also = also

    @property
    def name(self) -> str:
        """The first one's."""
        return self._first.name

    @property
    def is_remote(self) -> bool:
        """Whether one of them is."""
        return self._first.is_remote or self._also.is_remote

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Wrap by the first."""
        return self._first.wrap(key, context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Unwrap by the first, and by the other what the first did not wrap.

        Raises:
            RootKeyWrong: neither of them wrapped it.
        """
        try:
            return self._first.unwrap(blob, context)
        except RootKeyWrong:
            return self._also.unwrap(blob, context)

    def destroy(self, context: bytes, *, keep: bytes | None = None) -> None:
        """Have both destroy what wrapped keys of this context."""
        self._first.destroy(context, keep=keep)
        self._also.destroy(context, keep=keep)

    def close(self) -> None:
        """Close both."""
        try:
            self._first.close()
        finally:
            self._also.close()
