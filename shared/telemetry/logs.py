"""Logs are events with fields, one JSON object a line on stderr: constant snake_case names, ids, no free text of users."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING

import structlog

from shared.telemetry import trace

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import EventDict, Processor, WrappedLogger


def configure(service: str, level: str) -> None:
    """One formatter for structlog and for every library that uses the standard logging."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace_id,
        # Not a context variable: threads do not inherit those.
        lambda _logger, _method, event: {"service": service, **event},
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_first_line_without_values, *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _stack_without_values,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    # Warnings and the last words of a process are lines like all others.
    logging.captureWarnings(capture=True)
    sys.excepthook = _last_words
    threading.excepthook = lambda failed: _last_words(failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Access lines repeat what metrics say, and library chatter is not for operators.
    for noisy in ("kafka", "httpx", "uvicorn.access", "celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )


def _last_words(kind: type[BaseException], error: BaseException, stack: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, stack)
        return
    structlog.get_logger().critical("uncaught_error", thread=threading.current_thread().name, exc_info=error)


def _add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    header = trace.current.get()
    if header is not None:
        event.setdefault("trace_id", trace.trace_id(header))
    return event


def _first_line_without_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A library that logs an error tends to put its message into the text: of such a record only the template's first line stays."""
    if event.get("exc_info"):
        error = event["_record"].exc_info[1]
        text = str(event["_record"].msg)
        event["event"] = (text.replace(str(error), "…") if str(error) else text).partition("\n")[0]
    return event


def _stack_without_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Where it happened and what kind of error it was; messages and local variables may hold personal data and stay out."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error_type"] = type(error).__name__
        event["stack"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)[-12:]]
    return event
