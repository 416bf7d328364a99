"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[Path | None, typer.Option("--home", help="Data folder; default CONSENTRY_HOME or ./consentry-data.")]
Token = Annotated[str | None, typer.Option("--token", envvar="CONSENTRY_TOKEN", help="A person's token.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
