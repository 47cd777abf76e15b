"""An error's class is its fate.

| class | HTTP | consumer | task |
|---|---|---|---|
| `Rejected` | its status | bury the record, commit | fail, never retry |
| `Retryable` | 503 with Retry-After | rewind, back off | retry later |
| `InvariantBroken` | 500 | stop, do not commit | fail, page somebody |

The class docstring is the message for people; values go into ``context``, never into the text. Foreign exceptions are translated once, in
the adapter that meets them, with ``from``.
"""

from __future__ import annotations

from typing import ClassVar


class RecoupError(Exception):
    """Something went wrong in Recoup."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, message: str | None = None, /, **context: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.context = context
        super().__init__(self.message)


class Rejected(RecoupError):
    """The request cannot be carried out as it is."""

    status = 422
    code = "rejected"


class Malformed(Rejected):
    """The body cannot be read."""

    code = "malformed"


class SchemaViolation(Rejected):
    """The event's data do not fit the schema of its type."""

    code = "schema_violation"


class UnknownEventType(Rejected):
    """No automation handles events of this type."""

    code = "unknown_event_type"


class UnknownAutomation(Rejected):
    """No automation of this name is installed."""

    status = 404
    code = "unknown_automation"


class Unauthenticated(Rejected):
    """Who you are could not be verified."""

    status = 401
    code = "unauthenticated"


class Forbidden(Rejected):
    """This key may not do that."""

    status = 403
    code = "forbidden"


class NotFound(Rejected):
    """There is no such thing, or it is not yours."""

    status = 404
    code = "not_found"


class Conflict(Rejected):
    """This contradicts what is already stored."""

    status = 409
    code = "conflict"


class TooLarge(Rejected):
    """The body is larger than the limit."""

    status = 413
    code = "too_large"


class UnsupportedMedia(Rejected):
    """This content type or encoding is not accepted."""

    status = 415
    code = "unsupported_media"


class TooManyRequests(Rejected):
    """This key sends faster than its limit."""

    status = 429
    code = "too_many_requests"


class Retryable(RecoupError):
    """It could not be done now; the same request may succeed later."""

    status = 503
    code = "unavailable"


class InvariantBroken(RecoupError):
    """Something that must always hold does not."""

    code = "invariant_broken"
