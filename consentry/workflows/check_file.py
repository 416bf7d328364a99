"""Check a file of texts against a pack's content rules, line by line; touches no store and needs no deployment."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from consentry.packs import pack_folder
from consentry.parsed_packs import read_content_checker
from consentry.workflows.deidentify_file import opened_source
from deid.text.content import Action, Author, ContentHit, ContentKind, ContentVerdict
from deid.text.lines import BadLine, read_lines
from kernel.encoding import JsonValue


@dataclass
class CheckReport:
    """What became of a file.

    Attributes:
        actions: texts by what is to be done with them. rules: texts by rule that they break.
        bad: lines that are no texts.
    """

    actions: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    bad: list[BadLine] = field(default_factory=list)

    @property
    def blocked(self) -> int:
        """How many texts break a hard rule."""
        return self.actions[Action.BLOCK.value]

    def as_json(self) -> dict[str, JsonValue]:
        """Return the report for programs."""
        return {
            "texts": sum(self.actions.values()),
            **{action.value: self.actions[action.value] for action in Action},
            "rules": dict(sorted(self.rules.items())),
            "bad lines": len(self.bad),
        }


@dataclass(frozen=True, slots=True)
class CheckedLine:
    """The verdict on one text; neither form holds a word of it."""

    id: str | int
    verdict: ContentVerdict

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for programs."""
        return {
            "id": self.id,
            "action": self.verdict.action.value,
            "hits": [_hit_json(hit) for hit in self.verdict.hits],
            "excused": [_hit_json(hit) for hit in self.verdict.excused],
        }

    def lines(self) -> list[str]:
        """Return it for people: the action, and a line for each hit."""
        return [f"{self.id}: {self.verdict.action.value}", *(f"  {line}" for line in self.verdict.explain())]


def check_file(
    source: Path, report: CheckReport, *, pack: str, kind: ContentKind, author: Author
) -> Iterator[CheckedLine]:
    """Yield the verdict on each text of a file of JSON lines, in their order.

    Args:
        source: lines ``{"id", "text"}``; a file, or ``-``.
        report: filled as the lines are read.
        pack: name of a built-in pack, or a folder.
        kind: where the texts are to appear. author: who speaks in them.

    Raises:
        BadInput: the file cannot be read.
        PackError: the pack's rules have mistakes.
    """
    checker = read_content_checker(pack_folder(pack))
    with opened_source(source) as (stream, _):
        for line in read_lines(stream):
            if isinstance(line, BadLine):
                report.bad.append(line)
                continue
            verdict = checker.check(line.text, kind, author)
            report.actions[verdict.action.value] += 1
            report.rules.update({hit.rule for hit in verdict.hits})
            yield CheckedLine(line.id, verdict)


def _hit_json(hit: ContentHit) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {
        "rule": hit.rule,
        "start": hit.start,
        "end": hit.end,
        "severity": hit.severity.value,
        "action": hit.action.value,
        "law": hit.law,
        "article": hit.article,
        "message": {"zh": hit.message.zh, "en": hit.message.en},
    }
    if hit.kind is not None:
        told["identifier"] = hit.kind.value
    if hit.excuse is not None:
        told["excuse"] = hit.excuse
    return told
