"""What the demo asks the register after a withdrawal: the wake, a refused field, a receipt, the history, the log."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kernel.clock import format_instant

if TYPE_CHECKING:
    from consentry.demo.shell import Shell
    from consentry.demo.story import Story

HISTORY: Final = "history.html"
RECEIPT: Final = "receipt.jws"
RECEIPT_KEY: Final = "receipt-key.jwk"
SECOND_THOUGHTS: Final = "second-thoughts.ndjson"

_REFUSED: Final = ("P02", "diagnosis")
_LOCALES: Final = ("zh-CN", "en")
_DECISION: Final = re.compile(r"decision (dec_[a-z0-9]+)")
_AHEAD: Final = timedelta(seconds=1)


def decision_in(printed: str) -> str:
    """Return the id of the decision that a command told of."""
    found = _DECISION.search(printed)
    if found is None:
        raise ValueError("the command told of no decision")
    return found[1]


def look_at_withdrawal(shell: "Shell", story: "Story", subject: str, decision: str, folder: Path) -> None:
    """Show what became of the withdrawn data, why a field is refused, the receipt and the whole history.

    Args:
        shell: runs the commands.
        story: what is seen goes into its ``register``.
        subject: who withdrew.
        decision: one of the withdrawals, for the receipt.
        folder: for the history page, the receipt and the key that it verifies under.
    """
    shell.run("consent", "wake", "--run")
    seen = story.register
    seen["wake"] = shell.json_lines("consent", "wake", subject)
    seen["explained"] = {
        locale: shell.json("consent", "explain", subject, *_REFUSED, "--locale", locale) for locale in _LOCALES
    }
    seen["receipt"] = _receipt(shell, decision, folder)
    shell.run("consent", "history", subject, "--format", "html", "--out", str(folder / HISTORY))
    seen["history"] = HISTORY


def think_again(shell: "Shell", story: "Story", folder: Path) -> None:
    """Send two grants of somebody who has just refused: one after a prompt, one of the person's own accord."""
    with story.files.consents.open(encoding="utf-8") as lines:
        refused = next(filter(_is_own_refusal, map(json.loads, lines)))
    file = folder / SECOND_THOUGHTS
    acts = [_granted(refused, occasion) for occasion in ("prompt", "own")]
    file.write_text("".join(json.dumps(act, ensure_ascii=False) + "\n" for act in acts), encoding="utf-8")
    story.register["thought_again"] = shell.json("ingest", "consents", str(file))


def compare_with_log(shell: "Shell", story: "Story") -> None:
    """Compare everything that the gate reads with the log."""
    story.register["reconciled"] = shell.json("audit", "reconcile")


def _receipt(shell: "Shell", decision: str, folder: Path) -> dict[str, Any]:
    token, key = folder / RECEIPT, folder / RECEIPT_KEY
    token.write_text(shell.run("consent", "receipt", decision), encoding="utf-8")
    key.write_text(shell.run("consent", "receipt-key"), encoding="utf-8")
    claims: dict[str, Any] = shell.json("consent", "verify-receipt", str(token), "--key", str(key))
    return {"claims": claims, "file": RECEIPT, "key": RECEIPT_KEY, "length": token.stat().st_size}


def _is_own_refusal(act: dict[str, Any]) -> bool:
    return bool(act["act"] == "refuse" and act["purposes"] == ["P07"] and act["actor"]["kind"] == "self")


def _granted(refused: dict[str, Any], occasion: str) -> dict[str, Any]:
    evidence = refused["evidence"] | {"occasion": occasion}
    at = format_instant(datetime.now(UTC) - _AHEAD)
    return refused | {"act": "grant", "act_id": f"{refused['act_id']}-{occasion}", "at": at, "evidence": evidence}
