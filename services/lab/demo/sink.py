"""Stands for the business system that receives decisions: verifies every signature, as an integrator would."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson
import uvicorn
from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Message, Receive, Scope, Send

    from services.lab.demo.tally import Tally


class Sink:
    """An ASGI application; ``secret`` is set once the endpoint exists."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.secret: str | None = None
        self.received = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        body = await _body(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        assert self.secret is not None
        # Raises, and so answers 500, where the signature is wrong: the event then counts as lost.
        Webhook(self.secret).verify(body, headers)
        self.received += 1
        self._note(headers["webhook-id"], body)
        start: Message = {"type": "http.response.start", "status": 204, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": b""})

    def _note(self, webhook_id: str, body: bytes) -> None:
        data = orjson.loads(body)["data"]
        event_id = data["event"]["id"]
        self._tally.called_back(event_id, webhook_id, body, time.monotonic())
        story = self._tally.stories[event_id]
        story.tier, story.outcome = data["tier"], data["outcome"]
        if story.tier != "human":
            # A tier decides only outside the control group; where people decided, the clerk has noted the arm.
            story.arm = "automated"


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


@contextmanager
def serving(sink: Sink) -> Iterator[str]:
    """The sink's URL on a free port, served from a thread until the block ends."""
    config = uvicorn.Config(sink, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="sink", daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/decisions"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
