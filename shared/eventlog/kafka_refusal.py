"""Tells a broker that refuses us from one that does not answer: kafka-python 3.0.12 asks both again until its time is up."""

from __future__ import annotations

import ssl
from functools import partial
from typing import Any

from kafka.errors import SaslAuthenticationFailedError, UnsupportedSaslMechanismError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector


def is_refusal(error: BaseException) -> bool:
    """Whether asking again would be answered the same: by SASL, by an alert of TLS, or because it is we who do not trust the broker."""
    if isinstance(error, SaslAuthenticationFailedError | UnsupportedSaslMechanismError):
        return True
    # The library's own error has the one of TLS inside, or was raised while that one was handled.
    causes = [*error.args, error.__context__]
    return any(isinstance(cause, ssl.SSLCertVerificationError) or _is_alert(cause) for cause in causes)


def _is_alert(cause: object) -> bool:
    return isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or "")


class RefusableClient(KafkaNetClient):  # type: ignore[misc]  # the library is untyped
    """For ``kafka_client`` of the library's clients: connecting raises at once, as a KafkaError, where all brokers refuse us."""

    def __init__(self, **configuration: Any) -> None:
        net = NetworkSelector(**configuration)
        super().__init__(net, _Manager(net, **configuration), **configuration)


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    def __init__(self, net: NetworkSelector, **configuration: Any) -> None:
        super().__init__(net, **configuration)
        self._refusals: dict[str, BaseException] = {}

    def get_connection(self, node_id: str, **how: Any) -> Any:
        told = {broker.node_id for broker in self.cluster.bootstrap_brokers()}
        if node_id in told and self._refusals.keys() >= told:
            raise self._refusals[node_id]
        connection = super().get_connection(node_id, **how)
        connection.init_future.add_errback(partial(self._failed, node_id))
        return connection

    def _failed(self, node_id: str, error: BaseException) -> None:
        if is_refusal(error):
            self._refusals[node_id] = error

    async def _build_transport(self, *args: Any, **how: Any) -> Any:
        transport = await super()._build_transport(*args, **how)
        receive = transport._sock_recv  # noqa: SLF001  # it has no other place
        # A refusal and the end that follows are read in one go, of which the library keeps the end alone; that is read again.
        transport._sock_recv = lambda: _data_before_end(*receive())  # noqa: SLF001
        return transport


def _data_before_end(data: bytes, error: BaseException | None) -> tuple[bytes, BaseException | None]:
    return data, None if data else error
