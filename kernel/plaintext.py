"""The base of types that hold values in clear."""

from typing import NoReturn, SupportsIndex


class Plaintext:
    """Shows no value, and goes into no pickle and no copy; a dataclass of it says ``repr=False``.

    Whoever prints, formats or logs it, or renders the locals of a traceback, gets ``__repr__``, in which a subclass may
    name what is no value.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(redacted)"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds values in clear and is never serialised")
