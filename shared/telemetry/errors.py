"""Error reports to Sentry: off without a DSN, and never with a customer's text in them.

Its client is imported where there is a DSN: it takes a third of a second, with two HTTP libraries of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

    from shared.settings import ProcessSettings

_KEPT = {
    "event_id", "timestamp", "level", "platform", "logger", "server_name", "release", "environment", "exception", "tags", "contexts",
    "transaction", "sdk", "type", "fingerprint",
    # Of a check-in, which passes here as well.
    "check_in_id", "monitor_slug", "monitor_config", "status", "duration",
}  # fmt: skip


# Facts about the process; other contexts are what integrations or we ourselves attach.
_CONTEXTS = {"runtime", "os", "trace"}


def report_errors(settings: ProcessSettings, service: str) -> None:
    """Start reporting. Local variables, request bodies and messages of exceptions stay here: they may hold personal data."""
    if settings.sentry_dsn is None:
        return
    import sentry_sdk
    from sentry_sdk.scrubber import DEFAULT_DENYLIST, DEFAULT_PII_DENYLIST, EventScrubber

    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.environment,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        event_scrubber=EventScrubber(recursive=True, denylist=[*DEFAULT_DENYLIST, *DEFAULT_PII_DENYLIST]),
        before_send=only_what_is_known,
        traces_sample_rate=0.0,
        shutdown_timeout=2,
    )
    sentry_sdk.set_tag("service", service)


def check_in(settings: ProcessSettings, monitor: str) -> None:
    """Tell Sentry Crons that the jobs run, as every minute, the shortest interval it knows; nothing happens without a DSN."""
    if settings.sentry_dsn is None:
        return
    from sentry_sdk.crons import capture_checkin

    capture_checkin(monitor_slug=monitor, status="ok", monitor_config={"schedule": {"type": "interval", "value": 1, "unit": "minute"}})


def only_what_is_known(event: Event, hint: Hint) -> Event | None:
    """Keep an allowlist of keys, of each exception its type and stack but not its message, and of our own log lines their constant name."""
    for key in set(event) - _KEPT:
        event.pop(key, None)  # type: ignore[misc]  # keys of the TypedDict, taken from itself
    for context in set(event.get("contexts", {})) - _CONTEXTS:
        event["contexts"].pop(context)
    line = getattr(hint.get("log_record"), "msg", None)
    if isinstance(line, dict):
        event["message"] = str(line.get("event"))
    exception = event.get("exception")
    for value in (exception or {}).get("values") or []:
        value["value"] = "(withheld)"
        for frame in (value.get("stacktrace") or {}).get("frames") or []:
            frame.pop("vars", None)
    return event
