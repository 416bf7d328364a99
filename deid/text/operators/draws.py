"""Choices that a keyed token makes: the same token, the same choices."""

from hashlib import sha256


class Draw:
    """Numbers drawn from a token, one after the other.

    Args:
        token: made with a key, so that nobody without it can draw the same.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._count = 0

    def number(self, below: int) -> int:
        """Return a number from 0 up to, not including, ``below``, which is far smaller than 2^128."""
        self._count += 1
        drawn = sha256(self._token + self._count.to_bytes(4, "big")).digest()
        return int.from_bytes(drawn[:16], "big") % below

    def digits(self, count: int) -> str:
        """Return so many digits."""
        return "".join(str(self.number(10)) for _ in range(count))

    def some(self, signs: str, count: int) -> str:
        """Return so many of some signs."""
        return "".join(signs[self.number(len(signs))] for _ in range(count))

    def choice(self, values: tuple[str, ...]) -> str:
        """Return one of some values."""
        return values[self.number(len(values))]
