"""The command tree."""

import typer

from consentry.cli import (
    accounts,
    attaching,
    auditing,
    backups,
    breaches,
    cases,
    consents,
    deid,
    emergencies,
    erasing,
    holding,
    ingesting,
    interchange,
    keeping,
    keys,
    operating,
    overseeing,
    packs,
    records,
    registering,
    revealing,
    reviewing,
    rooting,
    signing,
    streaming,
    subjects,
    sweeping,
    tags,
    views,
    waking,
    webhooks,
    witnessing,
)

app = typer.Typer(
    name="consentry",
    help="Consent registry, encrypted vault, de-identified views, tags and a verifiable audit log.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
operating.register(app)
revealing.register(app)
erasing.register(app)
backups.register(app)
app.add_typer(packs.app, name="pack")
app.add_typer(accounts.app, name="account")
app.add_typer(ingesting.app, name="ingest")
waking.register(consents.app)
overseeing.register(consents.app)
interchange.register(consents.app)
app.add_typer(consents.app, name="consent")
app.add_typer(registering.app, name="register")
app.add_typer(subjects.app, name="subject")
app.add_typer(deid.app, name="deid")
app.add_typer(attaching.app, name="attach")
sweeping.register(records.app)
app.add_typer(records.app, name="records")
app.add_typer(holding.app, name="hold")
app.add_typer(views.views, name="view")
app.add_typer(views.exports, name="export")
app.add_typer(tags.app, name="tags")
rooting.register(keys.app)
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhook")
witnessing.register(auditing.app)
streaming.register(auditing.app)
keeping.register(auditing.app)
reviewing.register(auditing.app)
signing.register(auditing.app)
app.add_typer(auditing.app, name="audit")
app.add_typer(breaches.app, name="breach")
app.add_typer(cases.app, name="case")
app.add_typer(emergencies.app, name="emergency")
