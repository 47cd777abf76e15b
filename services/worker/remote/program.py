"""A LangGraph graph or a DSPy program as a model: it runs in a process of its own, which is ended where it does not answer in time."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from services.worker.remote.framing import Framing
from services.worker.remote.model import Said, Unavailable, Unusable
from services.worker.remote.pricing import Tokens
from shared.automations.contract import Features

_MOST_ANSWER_BYTES: Final = 64 * 1024
_HOST: Final = "services.worker.remote.host"
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


class ProgramModel:
    """One process at a time, started at the first call and again after it ended; calls take turns."""

    def __init__(self, kind: str, target: str, framing: Framing, environment: Mapping[str, str], max_tokens: int) -> None:
        """Args: environment: all that the process sees beside a usual path; nothing of the worker's own gets there."""
        self._kind, self._target, self._framing = kind, target, framing
        self._environment = {"PATH": _PATH, **environment}
        self._most = Tokens(max_tokens, max_tokens, known=False)
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        # Loading a program's libraries may take longer than any call: it goes on while calls come and give up.
        self._started: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._asked = 0

    @property
    def digest(self) -> str:
        """Not of the program's code: whoever changes that changes the model's name too."""
        return hashlib.sha256(f"{self._target}\n{self._framing.digest}".encode()).hexdigest()[:12]

    def most(self, features: Features) -> Tokens:
        del features
        return self._most

    async def ask(self, features: Features, seconds: float) -> Said:
        loaded = False
        try:
            async with asyncio.timeout(seconds), self._turn:
                process = await self._running()
                loaded = True
                answer = await self._answer(process, features)
        except TimeoutError:
            raise Unavailable("remote_timeout" if loaded else "remote_starting", charged=loaded) from None
        return self._read(answer)

    async def close(self) -> None:
        started, self._started = self._started, None
        if started is not None:
            started.cancel()
            await asyncio.gather(started, return_exceptions=True)
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
            # Pipes are closed by the loop's next turns; a loop that ends at once would leave them open.
            await asyncio.sleep(0)

    async def _running(self) -> asyncio.subprocess.Process:
        """The process, once it has loaded the program. Raises Unavailable where it cannot."""
        if self._process is not None and self._process.returncode is not None:
            await self.close()
        if self._started is None:
            self._started = asyncio.create_task(self._start())
        # Not cancelled with the call that waits for it.
        process = await asyncio.shield(self._started)
        if process.returncode is not None:
            await self.close()
            raise Unavailable("remote_failed", charged=False)
        return process

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _HOST,
            self._kind,
            self._target,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
            cwd="/",
            limit=_MOST_ANSWER_BYTES,
        )
        assert self._process.stdout is not None
        if not await self._process.stdout.readline():
            await self._process.wait()
        return self._process

    async def _answer(self, process: asyncio.subprocess.Process, features: Features) -> dict[str, Any]:
        self._asked += 1
        asked = {"number": self._asked, "document": self._framing.document(features), "labels": self._framing.labels}
        try:
            return await self._exchanged(process, (json.dumps(asked) + "\n").encode())
        except BaseException:
            # Given up in the middle, so its answer would be taken for that to the next document.
            await asyncio.shield(self.close())
            raise

    async def _exchanged(self, process: asyncio.subprocess.Process, line: bytes) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line)
            await process.stdin.drain()
            answer = json.loads(await process.stdout.readline())
        except (OSError, ValueError):
            raise Unavailable("remote_failed", charged=True) from None
        if not isinstance(answer, dict) or answer.get("number") != self._asked:
            raise Unavailable("remote_failed", charged=True)
        return answer

    def _read(self, answer: dict[str, Any]) -> Said:
        tokens = self._tokens(answer.get("tokens"))
        if "error" in answer:
            raise Unavailable("remote_failed", charged=True)
        label, confidence = answer.get("label"), answer.get("confidence")
        if not isinstance(label, str) or not isinstance(confidence, float):
            raise Unusable("not_a_label", tokens)
        try:
            return Said(self._framing.checked({label: confidence}), tokens)
        except ValueError:
            raise Unusable("not_a_label", tokens) from None

    def _tokens(self, counted: object) -> Tokens:
        if isinstance(counted, list) and len(counted) == 2 and all(isinstance(count, int) and count >= 0 for count in counted):
            return Tokens(*counted)
        return self._most
