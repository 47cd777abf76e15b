"""Creates the Kafka topics; the only place that knows their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import Rejected, Retryable

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient

    from shared.settings import KafkaSettings


class KafkaAway(Retryable):
    """No broker of RECOUP_KAFKA_BOOTSTRAP_SERVERS answers, so the topics could not be made; the schema is up to date."""

    code = "kafka_away"


class KafkaRefused(Rejected):
    """A broker refuses our RECOUP_KAFKA_* (user, password, certificate), or its own is not trusted: no topics; the schema is up to date."""

    code = "kafka_refused"


class TopicsForbidden(Rejected):
    """Our user of Kafka may not create topics: give it CREATE on the cluster, and DESCRIBE on the topics; the schema is up to date."""

    code = "topics_forbidden"


class TopicRefused(Rejected):
    """The broker makes no topic as our RECOUP_KAFKA_* want it; the schema is up to date."""

    code = "topic_refused"


def ensure_topics(settings: KafkaSettings) -> None:
    """Create what is missing of the three topics; existing ones are left as they are.

    Raises:
        KafkaAway: no broker answers, or not in time.
        KafkaRefused: none lets us in.
        TopicsForbidden: we are let in and have not the rights.
        TopicRefused: a number of copies that it has no brokers for, a name or a setting that it does not allow.
    """
    # Imported here: an installation without Kafka has no client.
    from kafka.admin import KafkaAdminClient  # noqa: PLC0415
    from kafka.errors import AuthorizationError, BrokerResponseError, KafkaError  # noqa: PLC0415

    from shared.eventlog.kafka_refusal import RefusableClient, is_refusal  # noqa: PLC0415

    try:
        admin = KafkaAdminClient(**settings.connection, client_id="recoup-migrate", kafka_client=RefusableClient)
    except KafkaError as error:
        raise (KafkaRefused if is_refusal(error) else KafkaAway) from error
    try:
        existing = set(admin.list_topics())
        for name in (settings.events_topic, settings.decisions_topic, settings.dead_topic):
            if name not in existing:
                _create(admin, name, settings)
    except AuthorizationError as error:
        raise TopicsForbidden(answer=type(error).__name__) from error
    except BrokerResponseError as error:
        raise (KafkaAway if error.retriable else TopicRefused)(answer=type(error).__name__) from error
    except KafkaError as error:
        raise KafkaAway(answer=type(error).__name__) from error
    finally:
        admin.close()


def _create(admin: KafkaAdminClient, name: str, settings: KafkaSettings) -> None:
    from kafka.admin import NewTopic  # noqa: PLC0415
    from kafka.errors import AuthorizationError, BrokerResponseError, TopicAlreadyExistsError  # noqa: PLC0415

    topic = NewTopic(
        name=name,
        num_partitions=settings.partitions,
        replication_factor=settings.replication_factor,
        topic_configs={
            "retention.ms": str(int(settings.retention.total_seconds() * 1000)),
            "min.insync.replicas": str(min(2, settings.replication_factor)),
            "unclean.leader.election.enable": "false",
            "max.message.bytes": str(1024 * 1024),
            # Whatever a producer compresses with, the broker writes it so that our client can read it: one that it cannot read
            # would stop its partition for ever.
            "compression.type": "lz4",
        },
    )
    try:
        admin.create_topics([topic])
    except TopicAlreadyExistsError:
        return
    except AuthorizationError as error:
        raise TopicsForbidden(topic=name) from error
    except BrokerResponseError as error:
        if error.retriable:
            raise
        raise TopicRefused(topic=name, answer=type(error).__name__) from error
