"""A server of models on a port of its own: OpenAI's chat completions and KServe's V2 protocol, spoken well, or badly on request."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.responses import StreamingResponse

from tests.patience import HANG_SECONDS

LABELS = ("bank_account", "card", "mortgage")
KEY = "sk-made-up"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: what the model was to look at, and everything that came with it."""

    protocol: str
    document: dict[str, Any]
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a request is answered.

    Attributes:
        label, confidence: said instead of what the model finds.
        content: of the message, instead of a JSON object.
        body: of the whole answer, instead of the protocol's.
        drop: JSON members of the answer to leave out.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    label: str | None = None
    confidence: float | None = None
    content: str | None = None
    body: bytes | None = None
    finish_reason: str = "stop"
    delay: float = 0.0
    drip: float = 0.0
    drop: tuple[str, ...] = ()


WELL = Manner()
Behave = Callable[[Asked, int], Manner]


def found(text: str, labels: list[str]) -> tuple[str, float]:
    """The model: counts the labels' words, and is the surer the more often it finds one."""
    counts = Counter({label: text.lower().count(label.split("_", maxsplit=1)[0]) for label in labels})
    label, count = counts.most_common(1)[0]
    return label, (0.4 if count == 0 else min(0.99, 0.7 + 0.1 * count))


class ModelServer:
    """``behave`` is asked about each request; its second argument counts the requests, from 1."""

    def __init__(self, behave: Behave = lambda _asked, _count: WELL) -> None:
        self.behave = behave
        self.asked: list[Asked] = []
        self.at_once = 0
        self._running: Counter[int] = Counter()
        self._test = 0
        app = FastAPI()
        app.post("/v1/chat/completions")(self._chat)
        app.post("/v2/models/{name}/infer")(self._infer)
        app.post("/v2/models/{name}/versions/{version}/infer")(self._infer)
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + HANG_SECONDS
        while not self._server.started:
            assert time.monotonic() < deadline, "the model server does not start"
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)

    @property
    def url(self) -> str:
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def begin_anew(self) -> None:
        """For the next test: what a caller of the last one gave up on may still be running, and does not count."""
        self.behave = lambda _asked, _count: WELL
        self.asked.clear()
        self.at_once = 0
        self._test += 1

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        assert request.headers["authorization"] == f"Bearer {KEY}"
        schema = body["response_format"]["json_schema"]
        assert body["response_format"]["type"] == "json_schema"
        assert schema["strict"] is True
        assert "tools" not in body
        system, user = body["messages"]
        assert (system["role"], user["role"]) == ("system", "user")
        document = json.loads(user["content"])
        return await self._answer(Asked("openai", document, body, dict(request.headers)), _completion)

    async def _infer(self, request: Request, name: str, version: str = "1") -> Response:
        body = await request.json()
        inputs = {i["name"]: i for i in body["inputs"]}
        assert all(i["datatype"] == "BYTES" and i["shape"] == [1, 1] and len(i["data"]) == 1 for i in inputs.values())
        document = {"text": inputs["text"]["data"][0], "fields": json.loads(inputs["fields"]["data"][0])}
        asked = Asked("kserve", document, {**body, "name": name, "version": version}, dict(request.headers))
        return await self._answer(asked, _inference)

    async def _answer(self, asked: Asked, answer: Callable[[Asked, Manner], dict[str, Any]]) -> Response:
        self.asked.append(asked)
        test = self._test
        self._running[test] += 1
        self.at_once = max(self.at_once, self._running[test])
        try:
            manner = self.behave(asked, len(self.asked))
            if manner.delay:
                await asyncio.sleep(manner.delay)
        finally:
            self._running[test] -= 1
        if manner.status != 200:
            error = {"error": {"message": f"canary {asked.document['text']}", "type": "server_error"}}
            return Response(json.dumps(error), manner.status, headers=manner.headers, media_type="application/json")
        said = {name: value for name, value in answer(asked, manner).items() if name not in manner.drop}
        body = manner.body if manner.body is not None else json.dumps(said).encode()
        if manner.drip:
            return StreamingResponse(_drip(body, manner.drip), media_type="application/json")
        return Response(body, headers=manner.headers, media_type="application/json")


async def _drip(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    for byte in body:
        await asyncio.sleep(seconds)
        yield bytes([byte])


def _completion(asked: Asked, manner: Manner) -> dict[str, Any]:
    labels = asked.body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"]
    label, confidence = found(asked.document["text"], labels)
    said = {"label": manner.label or label, "confidence": confidence if manner.confidence is None else manner.confidence}
    content = json.dumps(said) if manner.content is None else manner.content
    message = {"role": "assistant", "content": content, "refusal": None}
    prompt = sum(len(m["content"]) for m in asked.body["messages"]) // 4
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_780_000_000,
        "model": asked.body["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": manner.finish_reason}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": 17, "total_tokens": prompt + 17},
    }


def _inference(asked: Asked, manner: Manner) -> dict[str, Any]:
    label, confidence = found(asked.document["text"], list(LABELS))
    label = manner.label or label
    confidence = confidence if manner.confidence is None else manner.confidence
    rest = (1 - confidence) / (len(LABELS) - 1)
    data = [confidence if known == label else rest for known in LABELS]
    output = {"name": "probabilities", "datatype": "FP32", "shape": [1, len(LABELS)], "data": data}
    return {"model_name": asked.body["name"], "model_version": asked.body["version"], "id": "1", "outputs": [output]}
