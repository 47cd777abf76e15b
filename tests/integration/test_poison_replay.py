"""A record that Kafka brought, that could not be read and is replayed, is the event that its sender sends again: one case, no conflict."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import redis

from shared.clock import SystemClock
from tests.dispatcher_world import cases, count, dispatcher, kafka_settings
from tests.gateway_app import CLAIM, running
from tests.intake_data import rows
from tests.patience import eventually
from tests.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Database

pytestmark = pytest.mark.kafka


def test_a_webhook_that_was_buried_and_replayed_and_is_sent_again_is_one_case(
    database: Database, empty_redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    settings = kafka_settings(kafka_bootstrap, partitions=1)
    with running(database, empty_redis_url, kafka=settings) as gateway:
        gateway.clock.at = SystemClock().now()
        soon = (gateway.clock.at + timedelta(hours=1)).isoformat()
        source, secret = gateway.tenant.source({"id": "number", "data": "claim", "time": "at"})
        payload = {"number": "C-1", "claim": CLAIM, "at": soon}
        assert gateway.webhook(source, secret, payload).status_code == 202
        # It allows less than the gateway did.
        with dispatcher(database, empty_redis_url, settings, tmp_path, RECOUP_EVENT_TIME_AHEAD="PT1M"):
            eventually(lambda: count(database, "poison_records") == 1)
            assert _replay(database) == "1 accepted\n1 records read again\n"
            # The gateway's own memory of what it has appended must not be what answers.
            with redis.Redis.from_url(empty_redis_url) as client:
                client.flushdb()
            again = gateway.webhook(source, secret, payload)
            assert (again.status_code, cases(database)) == (200, 1), again.text
            assert gateway.webhook(source, secret, payload | {"other": 1}).status_code == 409
    assert rows(database, "SELECT count(*) FROM audit_log WHERE action = 'event.conflict'") == [(0,)]


def _replay(database: Database) -> str:
    command = [sys.executable, "-m", "services.dispatcher.poison", "replay", "--tenant", "acme"]
    environment = {"RECOUP_DATABASE_URL": database.app_url, "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True).stdout
