"""Builds the one engine of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sqlalchemy import Engine, create_engine, event

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext

    from shared.settings import DatabaseSettings

Role = Literal["recoup_api", "recoup_line"]


def engine_for(settings: DatabaseSettings, *, role: Role, application: str) -> Engine:
    """An engine whose connections act as ``role`` and give up instead of hanging.

    Call it after a fork: connections must not be shared between processes.

    Args:
        role: ``recoup_api`` sees one tenant per transaction, ``recoup_line`` all of them.
        application: shown in ``pg_stat_activity``.
    """
    milliseconds = int(settings.statement_timeout.total_seconds() * 1000)
    options = " ".join(
        f"-c {name}={value}"
        for name, value in {
            "role": role,
            "statement_timeout": milliseconds,
            "lock_timeout": 3000,
            "idle_in_transaction_session_timeout": 15000,
            "synchronous_commit": "on",
            "timezone": "UTC",
            # Set-based statements of a few milliseconds: compiling them, or starting processes for them, costs more than it gains.
            "jit": "off",
            "max_parallel_workers_per_gather": 0,
        }.items()
    )
    engine = create_engine(
        settings.url.get_secret_value(),
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=5,
        # Finds connections that died with a server restart before they are used.
        pool_pre_ping=True,
        pool_recycle=1800,
        # An error's message would repeat the values of its statement, and messages end up in logs of libraries.
        hide_parameters=True,
        connect_args={
            "application_name": f"recoup-{application}",
            "options": options,
            "connect_timeout": 5,
            "keepalives": 1,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15000,
        },
    )
    event.listen(engine, "handle_error", _leave_a_standby)
    return engine


def _leave_a_standby(context: ExceptionContext) -> None:
    """A server that became a standby takes no writes (25006): to us it is away, and every connection to it is to be made anew."""
    if getattr(context.original_exception, "sqlstate", None) == "25006":
        context.is_disconnect = True
