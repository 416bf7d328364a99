"""Content rules: what must not stand in a community post or a campaign text, by which law, and what is done about it.

rules = load_content_rules(folder / "content_rules.yaml")
verdict = ContentChecker(rules).check(text, ContentKind.POST, Author.MEMBER)
verdict.action, verdict.hits, verdict.explain(), verdict.masked(text)
"""

from deid.text.content.checker import ContentChecker, ContentHit, ContentVerdict
from deid.text.content.loading import FILE, load_content_rules
from deid.text.content.rules import Action, Author, ContentKind, ContentRules, Severity

__all__ = [
    "FILE",
    "Action",
    "Author",
    "ContentChecker",
    "ContentHit",
    "ContentKind",
    "ContentRules",
    "ContentVerdict",
    "Severity",
    "load_content_rules",
]
