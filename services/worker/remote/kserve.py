"""The Open Inference Protocol (KServe V2) over HTTP and JSON, which Triton, MLServer, TorchServe and OpenVINO speak as well.

One document a request, whatever the server could batch, so that a score does not depend on its neighbours. Inputs are ``text`` and
``fields`` (a JSON object), one BYTES element each; the output is ``probabilities``, FP32 or FP64, one for each label in their order.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

from services.worker.remote.exchange import Exchange
from services.worker.remote.framing import Framing
from services.worker.remote.model import Said, Unusable
from services.worker.remote.pricing import Tokens
from shared.automations.contract import Features

_NONE: Final = Tokens()


class InferenceModel:
    def __init__(self, exchange: Exchange, framing: Framing, *, model: str) -> None:
        """``model`` may name a version after a slash."""
        self._exchange = exchange
        self._framing = framing
        name, _, version = model.partition("/")
        versioned = f"/versions/{quote(version, safe='')}" if version else ""
        self._path = f"/v2/models/{quote(name, safe='')}{versioned}/infer"

    @property
    def digest(self) -> str:
        return self._framing.digest

    def most(self, features: Features) -> Tokens:
        """The protocol counts no tokens; such calls are paid by the call."""
        del features
        return _NONE

    async def ask(self, features: Features, seconds: float) -> Said:
        return self.read(await self._exchange.post(self._path, self._request(features), seconds))

    async def close(self) -> None:
        await self._exchange.close()

    def _request(self, features: Features) -> bytes:
        document = self._framing.document(features)
        fields = json.dumps(document["fields"], ensure_ascii=False, sort_keys=True)
        inputs = [
            {"name": name, "shape": [1, 1], "datatype": "BYTES", "data": [value]}
            for name, value in (("text", document["text"]), ("fields", fields))
        ]
        return json.dumps({"inputs": inputs, "outputs": [{"name": "probabilities"}]}, ensure_ascii=False).encode()

    def read(self, body: bytes) -> Said:
        """Raises Unusable where the answer holds no such output, of another shape, or numbers that are no probabilities."""
        try:
            output = next(output for output in json.loads(body)["outputs"] if output["name"] == "probabilities")
            values = [float(value) for value in _flat(output)]
        except (ValueError, OverflowError, TypeError, KeyError, StopIteration, AttributeError, RecursionError):
            raise Unusable("not_a_tensor") from None
        labels = self._framing.labels
        if len(values) != len(labels):
            raise Unusable("wrong_shape")
        if not 0.98 <= sum(values) <= 1.02:
            raise Unusable("not_a_distribution")
        try:
            return Said(self._framing.checked(dict(zip(labels, values, strict=True))), _NONE)
        except ValueError:
            raise Unusable("not_a_distribution") from None


def _flat(output: dict[str, Any]) -> list[Any]:
    """Row-major numbers; the protocol allows nested lists as well."""
    data = output["data"]
    if output["datatype"] not in {"FP32", "FP64"} or not isinstance(data, list):
        raise TypeError
    return data[0] if len(data) == 1 and isinstance(data[0], list) else data
