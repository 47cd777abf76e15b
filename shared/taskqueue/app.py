"""Builds the Celery application; the one place that knows its settings, because the shortest visibility timeout on a Redis wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import Celery

if TYPE_CHECKING:
    from shared.settings import RedisSettings

DECIDE = "recoup.decide"
QUEUE = "recoup.decide"


def celery_app(settings: RedisSettings) -> Celery:
    """A client and worker application without a result backend: progress lives in Postgres."""
    app = Celery("recoup", broker=settings.url.get_secret_value(), set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        # Acknowledged after the effects are committed; a killed child's order comes back, and attempts are counted in the database.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure=True,
        task_acks_on_timeout=True,
        worker_prefetch_multiplier=1,
        task_soft_time_limit=20,
        task_time_limit=30,
        broker_transport_options={
            # Four times the hard limit. Restored within 6 s of that instead of the default's 100 s.
            "visibility_timeout": 120,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": True,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Effects are fenced, so a lost acknowledgement is harmless and cancelling work is not.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_proc_alive_timeout=120,
        worker_max_tasks_per_child=10_000,
        worker_soft_shutdown_timeout=20,
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.5},
    )
    return app
