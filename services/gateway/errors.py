"""Refusals that only the gateway makes."""

from __future__ import annotations

from shared.errors import NotFound, Rejected, Unauthenticated


class BadSignature(Unauthenticated):
    """The webhook's signature or timestamp is not valid."""

    code = "bad_signature"


class UnknownSource(NotFound):
    """There is no webhook source of this id."""

    code = "unknown_source"


class SourceDisabled(Rejected):
    """This webhook source was disabled."""

    status = 410
    code = "source_disabled"


class InvalidBatch(Rejected):
    """Nothing of this batch was taken; fix the events in `errors` and send it again."""

    code = "invalid_batch"
