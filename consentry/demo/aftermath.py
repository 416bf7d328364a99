"""The report's part on what a withdrawal leads to, in words of both languages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from consentry.demo.story import Story

_HANDLERS: Final = {
    "views": ("视图", "views"),
    "tags": ("标签", "tags"),
    "exports": ("导出", "exports"),
    "vault": ("保险库字段", "fields in the vault"),
    "webhooks": ("通知接收方", "recipients told"),
}
_COUNTS: Final = {
    "builds": ("视图文件", "builds"),
    "rows": ("行", "rows"),
    "runs": ("标签运行", "runs"),
    "values": ("值", "values"),
    "releases": ("导出文件", "releases"),
    "keys": ("密钥销毁", "keys destroyed"),
    "held": ("依法留存", "held by law"),
}
_STATES: Final = {
    "done": ("完成", "done"),
    "open": ("待办", "open"),
    "sending": ("进行中", "working"),
    "dead": ("停止", "dead"),
}


def aftermath(story: "Story") -> dict[str, Any]:
    """Return what the template shows of the register after the withdrawal."""
    seen = story.register
    claims = seen["receipt"]["claims"]
    return {
        "wake": [_item(row) for row in seen["wake"]],
        "explained": _explained(seen["explained"]),
        "receipt": {
            "file": seen["receipt"]["file"],
            "key": seen["receipt"]["key"],
            "decision": claims["decision_id"],
            "length": seen["receipt"]["length"],
        },
        "history": seen["history"],
        "cooled": _cooled(seen["thought_again"]),
        "reconciled": seen["reconciled"],
    }


def is_recalled(story: "Story") -> bool:
    """Say whether the release was taken back because somebody in it withdrew."""
    return any(row["handler"] == "exports" and row["state"] == "done" for row in story.register["wake"])


def told_counts(row: Mapping[str, Any], language: int) -> str:
    """Return what an item did, in words: ``language`` is 0 for Chinese and 1 for English."""
    outcome = row["outcome"] or {"counts": {}}
    return ", ".join(
        f"{_COUNTS.get(name, (name, name))[language]} {number}" for name, number in outcome["counts"].items() if number
    )


def _item(row: Mapping[str, Any]) -> dict[str, str]:
    zh, en = _HANDLERS[row["handler"]]
    state_zh, state_en = _STATES[row["state"]]
    return {
        "purpose": row["purpose"] or "",
        "zh": zh,
        "en": en,
        "target": row["target"] or "",
        "state_zh": state_zh,
        "state_en": state_en,
        "did_zh": told_counts(row, 0) or "—",
        "did_en": told_counts(row, 1) or "—",
    }


def _explained(found: Mapping[str, Any]) -> dict[str, Any]:
    """Pair the steps of the explanation of one field in Chinese with those in English."""
    zh, en = found["zh-CN"], found["en"]
    (field,) = en["fields"]
    chinese, english = zh["fields"][field], en["fields"][field]
    steps = [
        {
            "zh": one["words"], "en": other["words"], "holds": one["holds"],
            "cites": ", ".join(str(one[name]) for name in ("decision", "notice", "cites") if one[name]),
        }
        for one, other in zip(chinese["steps"], english["steps"], strict=True)
    ]  # fmt: skip
    return {"field": field, "purpose": en["purpose"], "zh": chinese["words"], "en": english["words"], "steps": steps}


def _cooled(report: Mapping[str, Any]) -> dict[str, int]:
    return {"refused": report["refused"].get("cool_down", 0), "recorded": sum(report["recorded"].values())}
