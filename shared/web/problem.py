"""Errors as problem+json (RFC 9457): what went wrong, in a form for programs, and what to do, in words for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from shared.errors import Malformed, RecoupError, Rejected, Retryable
from shared.telemetry import trace

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
# A client that comes back sooner only adds load.
RETRY_AFTER_SECONDS = 2


class Problem(BaseModel):
    """RFC 9457 problem details; ``code`` is stable, ``detail`` is for people and may change."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "code": "schema_violation",
                    "detail": "The event's data do not fit the schema of its type.",
                    "errors": [{"field": "data.amount", "problem": "Input should be greater than or equal to 0"}],
                }
            ]
        },
    )

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, Any]] = Field(default_factory=list)


def _documented(status: int, description: str) -> tuple[int | str, dict[str, Any]]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return status, {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


# For `responses=` of every route, so that the OpenAPI document says how a request can fail.
PROBLEMS: Mapping[int | str, dict[str, Any]] = dict(
    [
        _documented(401, "No key, or one that is wrong, revoked or expired."),
        _documented(403, "The key lacks the role."),
        _documented(404, "There is no such thing, or it is not yours."),
        _documented(409, "This contradicts what is already stored."),
        _documented(413, "The body is larger than the limit."),
        _documented(415, "This content type or encoding is not accepted."),
        _documented(422, "The request cannot be carried out as it is; `errors` says what to fix."),
        _documented(429, "Too many requests; `Retry-After` says when to come back."),
        _documented(503, "It could not be done now; the same request may succeed later."),
    ]
)

_TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    409: "Conflict", 410: "Gone", 413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


def title(status: int) -> str:
    """The words that HTTP has for a status."""
    return _TITLES.get(status, "Error")


def response(status: int, code: str, detail: str, /, **extra: object) -> Response:
    """A problem as an HTTP response; ``extra`` members (``errors``, ``known``, …) are added as they are."""
    body = {**extra, "type": "about:blank", "title": title(status), "status": status, "code": code, "detail": detail}
    headers = {"Retry-After": str(extra.get("retry_after", RETRY_AFTER_SECONDS))} if status in {408, 429, 503} else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    # The standard library's, because a field name that a client made up may be a lone surrogate, which stricter encoders refuse.
    return Response(json.dumps(body, default=str), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def of(error: RecoupError) -> Response:
    """The answer to an error of ours. What broke inside stays inside."""
    if isinstance(error, Rejected | Retryable):
        return response(error.status, error.code, error.message, **error.context)
    log.error("request_failed", code=error.code, error=type(error).__name__, detail=error.message)
    return response(500, "internal", "Something went wrong here; it has been reported.")


def install(app: FastAPI) -> None:
    """Every error of ``app`` leaves as a problem."""

    async def recoup_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RecoupError)
        return of(error)

    async def invalid_request(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # Only the place and the rule: values may be personal data.
        errors = [{"field": ".".join(str(part) for part in e["loc"]), "problem": e["msg"]} for e in error.errors()]
        return response(422, Malformed.code, "The request does not fit its schema; `errors` says where.", errors=errors)

    async def http_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = response(error.status_code, _TITLES.get(error.status_code, "error").lower().replace(" ", "_"), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    async def unexpected(request: Request, error: Exception) -> Response:
        # Called outside of every middleware, `Observe` included, which has left its trace for us.
        trace.current.set(request.scope.get(trace.SCOPE_KEY))
        log.error("request_failed", error=type(error).__name__, exc_info=error)
        return response(500, "internal", "Something went wrong here; it has been reported.")

    app.add_exception_handler(RecoupError, recoup_error)
    app.add_exception_handler(RequestValidationError, invalid_request)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unexpected)
