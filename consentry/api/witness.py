"""The witness's HTTP interface, an application of its own without any deployment.

Source: c2sp.org/tlog-witness.
"""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import PlainTextResponse

from audit.witness import (
    MAX_BODY_BYTES,
    LogUnknown,
    ProofRefused,
    SignatureMissing,
    SizeConflict,
    SubmissionMalformed,
    Witness,
)
from consentry.api.failures import log_failure
from consentry.api.guard import Guard
from consentry.api.telemetry import NO_TELEMETRY
from kernel.errors import ConsentryError, Unavailable

SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"
"""Of the answer 409, which holds the size that was cosigned last."""

_STATUS: Final[tuple[tuple[type[ConsentryError], HTTPStatus], ...]] = (
    (SubmissionMalformed, HTTPStatus.BAD_REQUEST),
    (SignatureMissing, HTTPStatus.FORBIDDEN),
    (LogUnknown, HTTPStatus.NOT_FOUND),
    (ProofRefused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


def create_witness_app(witness: Witness) -> FastAPI:
    """Return the HTTP interface of one witness."""
    app = FastAPI(
        title="Witness", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, telemetry=NO_TELEMETRY
    )

    @app.post("/add-checkpoint")
    def add_checkpoint(body: Annotated[bytes, Depends(_body)]) -> Response:
        return PlainTextResponse(witness.add_checkpoint(body))

    @app.get("/checkpoint")
    def checkpoint(origin: Annotated[str, Query(max_length=1024)]) -> Response:
        """Return the last cosigned note of a log; not part of the protocol."""
        return PlainTextResponse(witness.last_note(origin))

    @app.exception_handler(ConsentryError)
    def _refused(request: Request, err: ConsentryError) -> Response:
        if isinstance(err, SizeConflict):
            return Response(f"{err.size}\n", HTTPStatus.CONFLICT, headers={"content-type": SIZE_MEDIA_TYPE})
        status = next((status for kind, status in _STATUS if isinstance(err, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log_failure(request.scope, err)
        return PlainTextResponse(f"{err.diagnostics()}\n", status)

    app.add_middleware(Guard, max_body_bytes=MAX_BODY_BYTES)
    return app


async def _body(request: Request) -> bytes:
    return await request.body()
