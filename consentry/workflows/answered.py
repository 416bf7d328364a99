"""Requests that were answered before: the same one again, under the same key, gets the same answer."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy.exc import IntegrityError

from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.acts import find_answers, remember_answers
from kernel.encoding import JsonValue
from kernel.errors import Conflict


@dataclass(frozen=True, slots=True)
class Repeatable:
    """One request of a caller.

    Attributes:
        route: what is asked for. key: names the request for its sender (``Idempotency-Key``).
        content: everything that the request says; plaintext, it goes into a keyed digest and nowhere else.
    """

    route: str
    key: str
    content: bytes = field(repr=False)


def answer_once(
    platform: Platform, caller: Principal, request: Repeatable | None, act: Callable[[], Mapping[str, JsonValue]]
) -> tuple[Mapping[str, JsonValue], bool]:
    """Return the answer that this request got before, or act and remember what comes back.

    An error is not remembered. A crash between acting and remembering lets the request act again, so the act itself
    must bear that.

    Args:
        request: None for one that nobody gave a key; it acts and is not remembered.
        act: answers with ids, counts and places, never a value.
    Returns:
        The answer, and whether it was given before.
    Raises:
        Conflict: the key was used for another request.
    """
    if request is None:
        return act(), False
    digests = platform.digests
    name = f"{caller.principal_id}\0{request.route}\0{request.key}".encode()
    key, content = digests.digest_many("request_key", [name])[0], digests.digest_many("request", [request.content])[0]
    with platform.data.read() as connection:
        before = find_answers(connection, [key]).get(key)
    if before is not None:
        return _checked(before, content), True
    answer = act()
    with suppress(IntegrityError), platform.data.write() as connection:  # the same request at the same moment
        remember_answers(connection, [(key, content, answer)], at=platform.clock.now())
    return answer, False


def _checked(before: tuple[bytes, Mapping[str, JsonValue]], content: bytes) -> Mapping[str, JsonValue]:
    if before[0] != content:
        raise Conflict("The idempotency key was used for another request", hint="Give every request a key of its own.")
    return before[1]
