"""Addresses and certificates: what the courier connects to, and under which name."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from services.courier.transport import Sender
from shared.clock import SystemClock
from shared.security.guard import Policy
from tests.certificates import certificate
from tests.courier_sink import Answer, Sink
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from services.courier.values import Reply

LOOPBACK = Policy(networks=(ip_network("127.0.0.0/8"),), require_https=False)
HEADERS = [(b"webhook-id", b"msg_1")]


class Names:
    """A resolver that gives another answer each time and remembers what it was asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def post(url: str, *, names: Names | None = None, policy: Policy = LOOPBACK, ca_file: Path | None = None, times: int = 1) -> list[Reply]:
    async def work() -> list[Reply]:
        sender = Sender(policy, timeout=timedelta(seconds=2), clock=SystemClock(), ca_file=ca_file, resolver=names)
        try:
            return [await sender.post(url, HEADERS, b"{}") for _ in range(times)]
        finally:
            sender.close()
            await asyncio.sleep(0)

    return asyncio.run(work())


def test_a_name_that_turns_private_at_the_second_look_is_looked_up_once_and_called_at_the_checked_address() -> None:
    """DNS rebinding: the first answer passes the check, the second one would be inside."""
    with Sink() as outside, Sink() as inside:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        (reply,) = post(outside.url(host="rebind.example.com"), names=names)
        assert reply.status == 204
        assert names.asked == [("rebind.example.com", outside.port)]
        assert (outside.connections, inside.connections) == (1, 0)
        assert outside.received[0].headers["host"] == f"rebind.example.com:{outside.port}"


def test_a_name_that_is_private_when_a_new_connection_is_made_is_blocked_then() -> None:
    with Sink(lambda _request, _count: Answer(204, {"Connection": "close"})) as sink:
        replies = post(sink.url(host="rebind.example.com"), names=Names(["127.0.0.1"], ["10.0.0.1"]), times=2)
        assert [(reply.status, reply.blocked) for reply in replies] == [(204, False), (None, True)]
        assert sink.connections == 1


def test_one_private_address_among_several_is_enough_to_refuse() -> None:
    with Sink() as sink:
        (reply,) = post(sink.url(host="mixed.example.com"), names=Names(["127.0.0.1", "169.254.169.254"]))
        assert reply.blocked
        assert sink.connections == 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_the_own_machine_is_out_of_reach_with_the_usual_policy(host: str) -> None:
    with Sink() as sink:
        (reply,) = post(f"https://{host}:{sink.port}/", policy=Policy(ports=(sink.port,)))
        assert reply.blocked
        assert sink.connections == 0


def test_the_next_address_is_tried_where_the_first_refuses_the_connection() -> None:
    with Sink() as sink:
        (reply,) = post(sink.url(host="two.example.com"), names=Names(["127.0.0.9", "127.0.0.1"]))
        assert reply.status == 204


def test_connections_are_used_again_and_a_closed_one_is_not() -> None:
    with Sink() as sink:
        assert [reply.status for reply in post(sink.url(), times=20)] == [204] * 20
        assert sink.connections == 1


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sink() as sink, Sink() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url("/"))
        assert post(sink.url())[0].status == 204
        assert proxy.connections == 0


def test_a_redirect_is_not_followed() -> None:
    with Sink() as other, Sink(lambda _request, _count: Answer(302, {"Location": other.url()})) as sink:
        assert post(sink.url())[0].status == 302
        assert other.connections == 0


def test_tls_is_verified_for_the_name_in_the_url_while_the_address_is_the_checked_one(tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path, "hooks.example.com")
    names = Names(["127.0.0.1"])
    with Sink(context=context) as sink:
        right = sink.url(host="hooks.example.com")
        assert post(right, names=names, ca_file=trusted)[0].status == 204
        assert post(sink.url(host="other.example.com"), names=names, ca_file=trusted)[0].error == "tls_failed"
        assert post(right, names=names)[0].error == "tls_failed"
        assert len(sink.received) == 1


def test_what_goes_wrong_on_the_way_has_a_name() -> None:
    class Broken(Names):
        async def __call__(self, host: str, port: int) -> Sequence[str]:
            raise OSError(host, port)

    assert post(f"http://127.0.0.1:{free_port()}/")[0].error == "connection_failed"
    assert post("http://nowhere.example.com/", names=Broken([]))[0].error == "name_not_resolved"
    with Sink(lambda _request, _count: Answer(200, {"Transfer-Encoding": "nonsense"})) as sink:
        assert post(sink.url())[0].error == "protocol_error"
    with Sink(lambda _request, _count: Answer(200, {"X-Long": "x" * 100_000})) as sink:
        assert post(sink.url())[0].error == "protocol_error"
