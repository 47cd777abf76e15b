"""Chat completions as OpenAI defined them and most servers of language models speak them, with the answer bound to a JSON schema."""

from __future__ import annotations

import json
from typing import Any, Final, TypeGuard

from services.worker.remote.exchange import Exchange
from services.worker.remote.framing import Framing, most_tokens
from services.worker.remote.model import Said, Unusable
from services.worker.remote.pricing import Tokens
from shared.automations.contract import Features

# Servers tell the model about the schema at their own expense or ours.
_SCHEMA_TOKENS: Final = 1_000
_MOST_TOKENS: Final = 100_000_000


class ChatModel:
    def __init__(self, exchange: Exchange, framing: Framing, *, model: str, max_tokens: int) -> None:
        self._exchange = exchange
        self._framing = framing
        self._model = model
        self._max_tokens = max_tokens

    @property
    def digest(self) -> str:
        return self._framing.digest

    def most(self, features: Features) -> Tokens:
        return Tokens(most_tokens(self._framing.messages(features)) + _SCHEMA_TOKENS, self._max_tokens, known=False)

    async def ask(self, features: Features, seconds: float) -> Said:
        body = json.dumps(self._request(features), ensure_ascii=False).encode()
        return self.read(await self._exchange.post("/chat/completions", body, seconds), self.most(features))

    async def close(self) -> None:
        await self._exchange.close()

    def _request(self, features: Features) -> dict[str, Any]:
        schema = {"name": "classification", "strict": True, "schema": self._framing.schema()}
        return {
            "model": self._model,
            "messages": self._framing.messages(features),
            "response_format": {"type": "json_schema", "json_schema": schema},
            "max_tokens": self._max_tokens,
            "temperature": 0,
            "n": 1,
            "stream": False,
        }

    def read(self, body: bytes, most: Tokens) -> Said:
        """Raises Unusable where the answer is cut off, refused, or anything but one of the labels.

        Args:
            most: what counts where the server does not say how many tokens it used.
        """
        try:
            answer = json.loads(body)
            tokens = _tokens(answer) or most
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise Unusable("not_json") from None
        try:
            (choice,) = answer["choices"]
            finished, content = choice["finish_reason"], choice["message"]["content"]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Unusable("not_a_completion", tokens) from None
        if finished != "stop" or not isinstance(content, str):
            raise Unusable("cut_off" if finished == "length" else "no_answer", tokens)
        try:
            return Said(self._framing.read(content), tokens)
        except ValueError:
            raise Unusable("not_a_label", tokens) from None


def _tokens(answer: Any) -> Tokens | None:
    """As the server counted them; None where it did not."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return None
    asked, answered = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not _is_count(asked) or not _is_count(answered):
        return None
    return Tokens(asked, answered)


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= _MOST_TOKENS
