"""Apache Kafka, one node in KRaft mode, on the Java of this machine."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path
from textwrap import dedent
from typing import ClassVar

from services.supervisor.embedded.kafka_jars import java, kafka_jars
from services.supervisor.embedded.server import EmbeddedServer
from services.supervisor.errors import StartFailed
from services.supervisor.ports import LOOPBACK, free_port
from services.supervisor.process import ChildProcess, Command

STARTED = "Kafka Server started"

LOGGING = dedent("""\
    status = warn
    appender.console.type = Console
    appender.console.name = console
    appender.console.layout.type = PatternLayout
    appender.console.layout.pattern = %d{ISO8601} %p %c - %m%n
    rootLogger.level = warn
    rootLogger.appenderRef.console.ref = console
    # Says when the server answers.
    logger.server.name = kafka.server.KafkaRaftServer
    logger.server.level = info
    """)

# One node: every replication factor is 1. The rest keeps a broker for one machine small and quick to start and to come back.
PROPERTIES = dedent("""\
    process.roles=broker,controller
    node.id=1
    controller.quorum.voters=1@{host}:{controller_port}
    listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
    advertised.listeners=PLAINTEXT://{host}:{port}
    controller.listener.names=CONTROLLER
    listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
    log.dirs={logs}
    auto.create.topics.enable=false
    default.replication.factor=1
    min.insync.replicas=1
    offsets.topic.replication.factor=1
    offsets.topic.num.partitions=4
    transaction.state.log.replication.factor=1
    transaction.state.log.min.isr=1
    transaction.state.log.num.partitions=4
    share.coordinator.state.topic.replication.factor=1
    share.coordinator.state.topic.min.isr=1
    share.coordinator.state.topic.num.partitions=4
    group.initial.rebalance.delay.ms=0
    broker.session.timeout.ms=6000
    broker.heartbeat.interval.ms=1000
    log.segment.bytes=67108864
    log.cleaner.dedupe.buffer.size=16777216
    num.network.threads=2
    num.io.threads=4
    """)

# The second compiler and the concurrent collector pay in brokers that are busy for hours: here they take more than they give.
SMALL_MACHINE = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Kafka(EmbeddedServer):
    """The url is ``host:port``, as clients call their bootstrap server.

    Args:
        cache: where the jars are kept; by default ``data/kafka``.
    """

    name: ClassVar[str] = "kafka"
    start_seconds: ClassVar[float] = 90  # 4 s on an idle machine, 12 s after a crash

    def __init__(self, data: Path, port: int | None = None, cache: Path | None = None) -> None:
        super().__init__(data, port or free_port())
        self._controller_port = free_port()
        self._home = self.data / "kafka"
        self._cache = (cache or self._home).resolve()

    @property
    def url(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def properties(self, logs: Path) -> str:
        """Of the broker; of a name that comes twice the last value counts."""
        return PROPERTIES.format(host=LOOPBACK, port=self.port, controller_port=self._controller_port, logs=logs)

    def _prepare(self) -> Command:
        program, jars = java(), kafka_jars(self._cache)
        logs = self._home / "log"
        logs.mkdir(parents=True, exist_ok=True)
        properties, logging = self._home / "server.properties", self._home / "log4j2.properties"
        properties.write_text(self.properties(logs))
        logging.write_text(LOGGING)
        options = (*SMALL_MACHINE, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*")
        if not (logs / "meta.properties").exists():
            self._format((program, *options), properties)
        return self._command(program, *options, "kafka.Kafka", str(properties))

    def _answers(self, child: ChildProcess) -> bool:
        return child.running and STARTED in child.log()

    def _format(self, jvm: tuple[str, ...], properties: Path) -> None:
        cluster = (
            base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        )  # an option must not begin with a dash
        child = ChildProcess(self._command(*jvm, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)))
        if child.wait(self.start_seconds) != 0:
            child.stop(self.stop_signal, self.stop_seconds)
            raise StartFailed(f"Kafka's storage could not be formatted; the end of {self.log_file}:\n{child.log_tail()}", server=self.name)

    def _command(self, *argv: str) -> Command:
        return Command(argv=argv, log_file=self.log_file, cwd=self._home)
