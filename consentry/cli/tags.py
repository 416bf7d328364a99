"""Commands on tags."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from consentry.cli.options import Approval, Home, Json, Subject, Token
from consentry.cli.output import say, say_json, say_pairs, say_table

app = typer.Typer(no_args_is_help=True, help="Evaluate, explain and count tags.")


class Language(StrEnum):
    """In which language an explanation is written."""

    ZH = "zh"
    EN = "en"


AsOf = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day; default today.")]


@app.command("run")
def run(as_of: AsOf = None, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Evaluate the taxonomy on the newest views, for subjects whose decision is live."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.run_tags import run_tags

    with platform_for(home) as platform:
        done = run_tags(platform, local_operator(), as_of=None if as_of is None else as_of.date())
    if as_json:
        say_json(done.as_json())
        return
    say_pairs({"as of": done.as_of, "people": done.people, "tags": len(done.distribution)})
    rows = [(tag, value, "< 11" if count is None else count) for tag, values in done.distribution.items() for value, count in values.items()]  # fmt: skip  # noqa: E501
    say_table(("tag", "value", "people"), rows)


@app.command("show")
def show(
    subject: Subject,
    approval: Approval = None,
    token: Token = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """The tags of one subject, asked at the gate again; needs a person's token."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows.denials import check_allowed
    from consentry.workflows.read_tags import read_tags
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        caller = person_from(platform, token)
        check_allowed(platform, caller, "tags.read", persons_only=True, subject=SubjectId(subject))
        found = read_tags(platform, caller, subject=SubjectId(subject), approval=approval)
    if as_json:
        say_json({"as_of": found.as_of, "tags": dict(found.values)})
    else:
        say_pairs({"as of": found.as_of, **found.values})


@app.command("explain")
def explain(  # noqa: PLR0917 - options of one command
    tag: Annotated[str, typer.Argument(help="Tag of the taxonomy, for example chronic_disease.")],
    pseudonym: Annotated[str, typer.Argument(help="Pseudonym of the profiling scope.")],
    language: Annotated[Language, typer.Option(help="Of the words.")] = Language.EN,
    approval: Approval = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Why a pseudonym has a tag: the rule and every input."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.explain_tag import explain_tag

    with platform_for(home) as platform:
        found = explain_tag(platform, local_operator(), tag, pseudonym, approval=approval)
    if as_json:
        say_json(found.as_json())
    else:
        say(found.in_words(language.value))


@app.command("cohort")
def cohort(
    expression: Annotated[str, typer.Argument(help="For example: chronic_disease = 'hypertension' AND night_user")],
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Count a cohort; a small cell, or a small rest, is not told."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.count_cohort import count_cohort

    with platform_for(home) as platform:
        counted = count_cohort(platform, local_operator(), expression)
    told = {"people": counted.shown, "of": counted.shown_population}
    (say_json if as_json else say_pairs)(told)
