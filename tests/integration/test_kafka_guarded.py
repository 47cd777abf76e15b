"""A broker that asks who is there: over TLS, by password, and each process with the rights of docs/production.md and no more."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from kafka.admin import ACL, ACLOperation, ACLPermissionType, KafkaAdminClient, ResourcePattern, ResourceType
from kafka.errors import KafkaError
from pydantic import SecretStr

from services.courier.topic import DecisionsTopic, TopicUnavailable
from services.courier.values import Unpublished
from services.dispatcher.consumer import consumer
from services.supervisor.embedded.kafka import Kafka
from services.supervisor.errors import MissingTool
from shared.clock import SystemClock
from shared.eventlog.kafka_record import KafkaRecord
from shared.eventlog.kafka_sender import KafkaSender
from shared.eventlog.port import LogUnavailable
from shared.eventlog.topics import ensure_topics
from shared.settings import KafkaSettings
from tests.certificates import certificate
from tests.patience import HANG_SECONDS, eventually
from tests.servers import KAFKA_CACHE, ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.supervisor.process import Command
    from tests.conftest import Database

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed .socket:ResourceWarning")]

# What is in the properties of the embedded broker and comes again counts as it comes last.
GUARDED = """
listeners=SASL_SSL://127.0.0.1:{port},MUTUAL://127.0.0.1:{mutual},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_SSL://127.0.0.1:{port},MUTUAL://127.0.0.1:{mutual}
listener.security.protocol.map=SASL_SSL:SASL_SSL,MUTUAL:SSL,CONTROLLER:PLAINTEXT
listener.name.mutual.ssl.client.auth=required
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  username="migrate" password="secret of migrate" {users};
ssl.keystore.type=PEM
ssl.keystore.location={folder}/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/trusted.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:migrate;User:ANONYMOUS
"""
USERS = ("migrate", "gateway", "dispatcher", "courier")
# `process | operation | topic or group` of the table.
RIGHTS = re.findall(
    r"^\| (\w+) \| (READ|WRITE) \| (topic|group) `RECOUP_KAFKA_(\w+)` \|$", (ROOT / "docs" / "production.md").read_text(), re.MULTILINE
)


class GuardedKafka(Kafka):
    def _prepare(self) -> Command:
        folder = self.data
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "keystore.pem").exists():
            certificate(folder, "127.0.0.1")
            (folder / "keystore.pem").write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
            trusted = (folder / "certificate.pem").read_bytes()
            for owner in ("gateway", "stranger"):
                (folder / owner).mkdir()
                certificate(folder / owner, owner, owner=owner)
            (folder / "trusted.pem").write_bytes(trusted + (folder / "gateway" / "certificate.pem").read_bytes())
        return super()._prepare()

    @cached_property
    def mutual_port(self) -> int:
        """Of the listener that asks clients for a certificate."""
        return free_port()

    def properties(self, logs: Path) -> str:
        users = " ".join(f'user_{name}="secret of {name}"' for name in USERS)
        guarded = GUARDED.format(port=self.port, mutual=self.mutual_port, controller=self._controller_port, users=users, folder=self.data)
        return super().properties(logs) + guarded


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str) -> Iterator[GuardedKafka]:
    """Asks for the shared broker so that a missing Java is reported in one way."""
    try:
        broker = GuardedKafka(tmp_path_factory.mktemp("guarded"), cache=KAFKA_CACHE)
    except MissingTool as error:
        pytest.fail(error.message)
    broker.start()
    settings = _as(broker, "migrate")
    ensure_topics(settings)
    admin = KafkaAdminClient(**settings.connection)
    admin.create_acls([_right(settings, *right) for right in RIGHTS])
    admin.close()
    yield broker
    broker.kill()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _as(broker: GuardedKafka, user: str, **other: object) -> KafkaSettings:
    told = {
        "bootstrap_servers": broker.url,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "username": user,
        "password": SecretStr(f"secret of {user}"),
        "ca_file": broker.data / "certificate.pem",
    }
    return KafkaSettings.model_validate(told | other)


def _right(settings: KafkaSettings, process: str, operation: str, kind: str, setting: str) -> ACL:
    resource = ResourcePattern(ResourceType[kind.upper()], getattr(settings, setting.lower()))
    return ACL(f"User:{process}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, resource)


def _sends(settings: KafkaSettings, topic: str) -> bool:
    sender, landed = KafkaSender(settings, "test"), list[object]()
    try:
        sender.connect(topic)
        sender.send([[KafkaRecord(topic, b"k", b"{}", [("tenant", b"acme")])]], landed.extend)
        eventually(lambda: landed)
    except LogUnavailable:
        return False
    finally:
        sender.close(1.0)
    return landed == [None]


def _reads(settings: KafkaSettings) -> bool:
    try:
        client = consumer(settings, 10)
        try:
            for _ in range(int(HANG_SECONDS)):
                if client.poll(timeout_ms=1000):
                    return True
        finally:
            client.close(autocommit=False, timeout_ms=1000)
    except KafkaError:
        pass
    return False


def test_each_process_may_do_its_own_work_and_nothing_else(broker: GuardedKafka) -> None:
    assert {process for process, *_ in RIGHTS} == {"gateway", "dispatcher", "courier"}
    gateway, dispatcher, courier = (_as(broker, name) for name in ("gateway", "dispatcher", "courier"))
    # A broker learns of new rights a moment after it was told.
    eventually(lambda: _sends(gateway, gateway.events_topic))
    assert _reads(dispatcher)
    assert _sends(dispatcher, dispatcher.dead_topic)
    decision = Unpublished(uuid4(), uuid4(), b"{}", None)
    topic = DecisionsTopic(courier, SystemClock())
    assert topic.send([decision]) == [decision.id]
    topic.close()
    # Whoever may write events speaks for every tenant.
    assert not _sends(courier, courier.events_topic)
    assert not _sends(dispatcher, dispatcher.events_topic)
    assert not _reads(gateway)
    with pytest.raises(TopicUnavailable):
        DecisionsTopic(gateway, SystemClock()).send([decision])


MIGRATE = (
    "from shared.eventlog.topics import ensure_topics; from shared.settings import KafkaSettings, load; ensure_topics(load(KafkaSettings))"
)


def _shows(broker: GuardedKafka, owner: str) -> dict[str, str]:
    """What a process is told that shows its certificate."""
    own, files = broker.data / owner, {"CERTIFICATE_FILE": "certificate.pem", "KEY_FILE": "key.pem"}
    told = {
        "BOOTSTRAP_SERVERS": f"127.0.0.1:{broker.mutual_port}",
        "SECURITY_PROTOCOL": "SSL",
        "CA_FILE": str(broker.data / "certificate.pem"),
    }
    return told | {name: str(own / file) for name, file in files.items()}


def test_a_process_is_known_by_its_certificate(broker: GuardedKafka) -> None:
    settings = KafkaSettings.model_validate({name.lower(): value for name, value in _shows(broker, "gateway").items()})
    admin = KafkaAdminClient(**_as(broker, "migrate").connection)
    resource = ResourcePattern(ResourceType.TOPIC, settings.events_topic)
    admin.create_acls([ACL("User:CN=gateway", "*", ACLOperation.WRITE, ACLPermissionType.ALLOW, resource)])
    admin.close()
    eventually(lambda: _sends(settings, settings.events_topic))
    assert not _sends(settings, settings.dead_topic)


@pytest.mark.parametrize("other", [{"CERTIFICATE_FILE": "", "KEY_FILE": ""}, None], ids=["none", "one that the broker does not trust"])
def test_whoever_shows_no_certificate_that_is_trusted_stays_outside(broker: GuardedKafka, other: dict[str, str] | None) -> None:
    ended = _migrate(_shows(broker, "stranger" if other is None else "gateway") | (other or {}))
    assert ended.returncode != 0
    assert "KafkaRefused" in ended.stderr


def test_whoever_may_not_create_topics_is_told_what_is_missing(broker: GuardedKafka, database: Database) -> None:
    told = {"BOOTSTRAP_SERVERS": broker.url, "SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", "USERNAME": "gateway"}
    told |= {"PASSWORD": "secret of gateway", "CA_FILE": str(broker.data / "certificate.pem"), "EVENTS_TOPIC": "not.there"}
    environment = {"RECOUP_DATABASE_ADMIN_URL": database.admin_url} | {f"RECOUP_KAFKA_{name}": value for name, value in told.items()}
    command = [sys.executable, "-m", "migrations.run"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "Our user of Kafka may not create topics: give it CREATE on the cluster" in ended.stderr
    assert "not.there" in ended.stderr
    # One that may, of as many copies as there are brokers; the text is the broker's.
    may = environment | {"RECOUP_KAFKA_USERNAME": "migrate", "RECOUP_KAFKA_PASSWORD": "secret of migrate"}
    ended = subprocess.run(
        command, cwd=ROOT, env=may | {"RECOUP_KAFKA_REPLICATION_FACTOR": "3"}, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert "not.there" in ended.stderr
    assert "InvalidReplicationFactor" in ended.stderr


def _migrate(told: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the client leaves sockets of refused connections to the garbage collector."""
    environment = os.environ | {f"RECOUP_KAFKA_{name}": value for name, value in told.items()}  # noqa: TID251  # a child gets ours
    return subprocess.run([sys.executable, "-c", MIGRATE], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("other", "error"), [({}, None), ({"PASSWORD": "wrong"}, "KafkaRefused"), ({"CA_FILE": ""}, "KafkaRefused")])
def test_whoever_cannot_say_who_it_is_or_does_not_know_the_broker_stays_outside(
    broker: GuardedKafka, other: dict[str, str], error: str | None
) -> None:
    told = {"BOOTSTRAP_SERVERS": broker.url, "SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", "USERNAME": "migrate"}
    told |= {"PASSWORD": "secret of migrate", "CA_FILE": str(broker.data / "certificate.pem")} | other
    ended = _migrate(told)
    assert (ended.returncode == 0) == (error is None), ended.stderr
    assert (error or "") in ended.stderr
    assert "secret of" not in ended.stderr


def test_a_broker_whose_certificate_is_for_another_name_keeps_nobody_from_its_neighbour(broker: GuardedKafka) -> None:
    told = {"BOOTSTRAP_SERVERS": f"localhost:{broker.port},{broker.url}", "SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN"}
    told |= {"USERNAME": "migrate", "PASSWORD": "secret of migrate", "CA_FILE": str(broker.data / "certificate.pem")}
    ended = _migrate(told)
    assert ended.returncode == 0, ended.stderr
    ended = _migrate(told | {"BOOTSTRAP_SERVERS": f"localhost:{broker.port}"})
    assert "KafkaRefused" in ended.stderr
