"""The demo's report: one self-contained page, zh and en."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from consentry.demo.aftermath import aftermath, is_recalled
from consentry.demo.story import INGESTED
from kernel.catalogue import Catalogue
from kernel.clock import format_instant

if TYPE_CHECKING:
    from consentry.demo.story import Story
    from tagging.taxonomy import Taxonomy

_TEMPLATES: Final = Path(__file__).parent.parent / "templates"
_WORDS: Final = {
    "withdrawal": "撤回",
    "all three": "三者之后",
    "erasure": "删除",
    "restriction": "限制处理",
    "people in the view": "视图中的人数",
    "people with tags": "有标签的人数",
    "record opens": "病历可以打开",
    "tags can be read": "标签可以读取",
    "customer with orders only": "只有订单的顾客",
    "can be found by the shop's id": "可用商城会员号找到",
    "patient under the 15-year floor": "病历须保存15年的患者",
}
_REASONS: Final = {
    "NO_DECISION": ("没有决定", "no decision"),
    "REFUSED": ("本人拒绝", "refused by the person"),
    "WITHDRAWN": ("已撤回", "withdrawn"),
    "EXPIRED": ("已过期", "expired"),
    "RECONSENT": ("需重新同意", "asks for renewed consent"),
    "SCOPE": ("超出同意范围", "outside the grant's scope"),
    "RECIPIENT": ("接收方不符", "another recipient"),
    "GUARDIAN": ("须由监护人同意", "needs the guardian"),
    "RESTRICTED": ("限制处理", "restricted"),
    "ERASED": ("已删除", "erased"),
    "ASSESSMENT_MISSING": ("缺少影响评估", "impact assessment missing"),
    "PURPOSE_FIELD": ("目的不允许该字段", "field not allowed for the purpose"),
    "UNKNOWN_FIELD": ("目录外字段", "field outside the catalogue"),
    "RETENTION_PASSED": ("已过保存期", "past its retention"),
}


def write_report(story: "Story", catalogue: Catalogue, path: Path) -> Path:
    """Render the report; it loads nothing from anywhere.

    Returns:
        The file.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from kernel.pack import builtin_pack_path
    from tagging.taxonomy import load_taxonomy

    taxonomy = load_taxonomy(builtin_pack_path(catalogue.pack) / "taxonomy.yaml")
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    report = {
        "made_at": format_instant(datetime.now(UTC))[:19].replace("T", " ") + " UTC",
        "pack": f"{catalogue.pack} {catalogue.version}",
        "steps": _steps(story),
        "portrait": _portrait(story, taxonomy),
        "distribution": _distribution(story, taxonomy),
        "refusals": _refusals(story),
        "changes": [_change(change) for change in story.changes],
        "aftermath": aftermath(story),
        "export": _export(story),
        "proof": {
            "whole": story.whole,
            "entries": story.log["entries"],
            "checkpoint": story.log["checkpoint"],
            "command": f"consentry-verify {Path(story.log['folder']).name} --key '{story.log['key']}'",
        },
    }
    path.write_text(environment.get_template("report.html.j2").render(report=report), encoding="utf-8")
    return path


def _steps(story: "Story") -> list[dict[str, Any]]:
    took = story.ingested
    records = sum(took[kind]["stored_records"] for kind in INGESTED)
    refused = sum(sum(took[kind]["refused"].values()) for kind in INGESTED)
    steps = (
        (sum(took["consents"]["recorded"].values()), "同意记录", "consent acts"),
        (refused, "字段被拒", "values refused"),
        (records, "加密记录", "sealed records"),
        (story.views[-1]["people"], "去标识化视图", "people in views"),
        (len(story.tags["distribution"]), "标签", "tags"),
        (story.export.get("people", 0), "导出人数", "people exported"),
        (story.log["entries"], "审计条目", "log entries"),
    )
    return [{"figure": f"{figure:,}", "zh": zh, "en": en} for figure, zh, en in steps]


def _portrait(story: "Story", taxonomy: "Taxonomy") -> dict[str, Any]:
    rows = []
    for found in story.portrait["tags"]:
        label = taxonomy.get(found["tag"]).label
        inputs = [one["label"] | {"value": _shown(one["value"])} for one in found["inputs"]]
        value = _shown(found["value"])
        rows.append({"zh": label.zh, "en": label.en, "value": value, "rule": found["rule"], "inputs": inputs})
    return {"pseudonym": story.portrait["pseudonym"], "tags": rows}


def _shown(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "∅"
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text and text.replace(".", "").isdigit() else text


def _distribution(story: "Story", taxonomy: "Taxonomy") -> list[dict[str, Any]]:
    rows = []
    people = max(story.tags["people"], 1)
    for code, values in story.tags["distribution"].items():
        label = taxonomy.get(code).label
        for place, (value, count) in enumerate(values.items()):
            percent = 0 if count is None else round(100 * count / people)
            shown = "< 11" if count is None else count
            row = {"zh": label.zh, "en": label.en, "value": value, "shown": shown, "percent": percent}
            rows.append(row | {"first": not place})
    return rows


def _refusals(story: "Story") -> list[dict[str, Any]]:
    summed: dict[str, int] = {}
    for kind in INGESTED:
        for reason, count in story.ingested[kind]["refused"].items():
            summed[reason] = summed.get(reason, 0) + count
    most = max(summed.values(), default=1)
    return [
        {
            "reason": reason, "zh": _REASONS[reason][0], "en": _REASONS[reason][1], "count": f"{count:,}",
            "percent": round(100 * count / most),
        }
        for reason, count in sorted(summed.items(), key=lambda item: -item[1])
    ]  # fmt: skip


def _change(change: dict[str, str]) -> dict[str, str]:
    event, check = change["event"], change["check"]
    return {
        "event_zh": _WORDS[event], "event_en": event, "check_zh": _WORDS[check], "check_en": check,
        "before": change["before"], "after": change["after"],
    }  # fmt: skip


def _export(story: "Story") -> list[dict[str, Any]]:
    made = story.export
    if "refused" in made:
        return [{"zh": "未放行", "en": "not released", "value": made["refused"]}]
    rows: tuple[tuple[str, str, object], ...] = (
        ("接收方", "recipient", made["recipient"]),
        ("人数", "people", made["people"]),
        ("k（按人）", "k, by person", made["k"]),
        ("为达到 k 而不放行", "suppressed to reach k", made["suppressed"]),
        ("没有该接收方的同意", "without a decision for this recipient", made["withheld"]),
        ("准标识符的粒度", "level of the quasi-identifiers", ", ".join(f"{n}: {v}" for n, v in made["levels"].items())),
    )
    if is_recalled(story):
        rows += (("之后", "later", "召回：其中一人撤回了同意 · recalled: a person in it withdrew"),)
    return [{"zh": zh, "en": en, "value": value} for zh, en, value in rows]
