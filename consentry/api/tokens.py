"""Signing in: a person's name and password against a short-lived token."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from consentry.api.dependencies import PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.sign_in import sign_in

router = new_router("tokens", is_open=True)


class SignIn(BaseModel):
    """A person's credentials."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"name": "dr.lin", "password": "the-password-that-init-printed"}]},
    )

    name: Annotated[str, Field(min_length=1, max_length=80)]
    password: Annotated[SecretStr, Field(min_length=1, max_length=200)]


class Token(BaseModel):
    """A bearer token and its life in seconds."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750's name of the scheme
    expires_in: int


@router.post("/tokens", status_code=201, responses=responses(401, 411, 415, 429))
def create_token(body: SignIn, platform: PlatformHere) -> Token:
    """Sign a person in; 401 when name or password is wrong."""
    token = sign_in(platform, name=body.name, password=body.password.get_secret_value())
    return Token(access_token=token, expires_in=platform.settings.token_minutes * 60)
