"""A real headless Chromium, driven over the DevTools protocol: tabs are real tabs, so hiding, focus and input are what people cause."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from websockets.sync.client import ClientConnection, connect

from tests.patience import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0"),
)
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Browser:
    process: subprocess.Popen[bytes]
    socket: ClientConnection
    numbers: Iterator[int]

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """The protocol's answer; events in between are not for us."""
        number = next(self.numbers)
        order = {"id": number, "method": method, "params": parameters} | ({} if session is None else {"sessionId": session})
        self.socket.send(json.dumps(order))
        while True:
            answer = json.loads(self.socket.recv(30))
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def open(self, url: str) -> Tab:
        """A tab of its own, in front of the others."""
        target = self.call("Target.createTarget", url=url)["targetId"]
        tab = Tab(self, target, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        tab.show()
        return tab

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Every process of the browser stands still, as when a lid is closed; its clocks go on."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Tab:
    browser: Browser
    target: str
    session: str

    def show(self) -> None:
        """Bring it to the front, which hides the others, and focus it."""
        self.browser.call("Target.activateTarget", targetId=self.target)

    def evaluate(self, expression: str) -> Any:
        answer = self.browser.call("Runtime.evaluate", self.session, expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def await_(self, expression: str) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.05)

    def press(self, key: str = "a") -> None:
        """A key, as a person presses it."""
        for kind in ("keyDown", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", self.session, type=kind, key=key, text=key if kind == "keyDown" else "")

    def close(self) -> None:
        self.browser.call("Target.closeTarget", targetId=self.target)


@contextmanager
def running_browser(executable: str, profile: Path) -> Iterator[Browser]:
    """Args: profile: an empty folder."""
    process = subprocess.Popen(
        [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with connect(_address(process, profile / "DevToolsActivePort"), proxy=None) as socket:
            yield Browser(process, socket, count(1))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def _address(process: subprocess.Popen[bytes], file: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    # The second line comes after the first.
    while not (file.exists() and len(lines := file.read_text().splitlines()) == 2):
        assert process.poll() is None, "the browser ended before it began"
        assert time.monotonic() < deadline, "the browser does not start"
        time.sleep(0.05)
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
