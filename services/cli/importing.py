"""Reads a file of CloudEvents, one JSON object a line; sends them to the gateway, which knows what it has seen. Logs go to ops."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, NamedTuple, cast

import httpx
import typer
from pydantic import SecretStr
from pydantic_settings import BaseSettings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tenacity import RetryError, Retrying, retry_if_result, stop_after_attempt, wait_random_exponential

from services.cli.baseline_import import baseline
from services.cli.ops_api import client_of, reason
from shared.commands import check_option
from shared.settings import load, prefixed

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Send what is in a file: events, or a log of manual handling.")

# Of the gateway's 256 KiB, leaving room for the brackets and commas of a batch.
_BATCH_BYTES = 240 * 1024
_BATCH_EVENTS = 200


class ImportSettings(BaseSettings):
    model_config = prefixed("RECOUP_")

    # A key with the role integrator.
    api_key: SecretStr
    # As `recoup up` writes it, which moves ports that are taken.
    gateway_url: str = "http://127.0.0.1:8080"


@app.callback()
def kinds(
    *,
    check: Annotated[bool, check_option("import", ImportSettings)] = False,  # done
) -> None:
    """Send what is in a file: events through the gateway, or a log of manual handling to the operations API."""


app.command()(baseline)


@app.command()
def events(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON Lines of CloudEvents; .gz is read as it is.")],
    *,
    url: Annotated[str | None, typer.Option(help="The gateway; RECOUP_GATEWAY_URL where it is left out.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only validate the settings and read the file.")] = False,
) -> None:
    """Send events from FILE. Safe to repeat: what was accepted before is answered as a duplicate. The key is read from RECOUP_API_KEY."""
    settings = load(ImportSettings)
    console = Console(stderr=True)
    lines = _count(file)
    if check:
        console.print(f"{lines} events in {file}")
        return
    tally: Counter[str] = Counter()
    with client_of(url or settings.gateway_url, settings.api_key.get_secret_value()) as client, _progress(console) as progress:
        task = progress.add_task("sending", total=lines)
        for batch in _batches(_lines(file)):
            tally.update(_send(client, batch, progress.console))
            progress.advance(task, len(batch))
    console.print(", ".join(f"{count} {what}" for what, count in sorted(tally.items())) or "nothing to send")
    if tally["refused"]:
        raise typer.Exit(1)


def _progress(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console)


class _Line(NamedTuple):
    number: int
    event: bytes


def _count(file: Path) -> int:
    try:
        return sum(1 for _ in _lines(file))
    except (OSError, EOFError, zlib.error) as error:
        raise typer.BadParameter(f"{file.name} cannot be read: {error}") from error


def _lines(file: Path) -> Iterator[_Line]:
    with _opened(file) as handle:
        yield from (_Line(number, line.strip()) for number, line in enumerate(handle, 1) if line.strip())


def _opened(file: Path) -> IO[bytes]:
    if file.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(file))  # the caller closes it; a GzipFile is a binary stream
    return file.open("rb")


def _batches(lines: Iterator[_Line]) -> Iterator[list[_Line]]:
    batch: list[_Line] = []
    size = 0
    for line in lines:
        if batch and (size + len(line.event) > _BATCH_BYTES or len(batch) >= _BATCH_EVENTS):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.event) + 1
    if batch:
        yield batch


def _send(client: httpx.Client, batch: list[_Line], console: Console) -> Counter[str]:
    """Send a batch; one that is refused is sent again event by event, so that one bad line does not hold up its neighbours."""
    answer = _post(client, b"[" + b",".join(line.event for line in batch) + b"]", "application/cloudevents-batch+json")
    if answer.is_success:
        return _statuses(answer)
    tally: Counter[str] = Counter()
    for line in batch:
        single = _post(client, line.event, "application/cloudevents+json")
        if single.is_success:
            tally.update(_statuses(single))
        else:
            tally["refused"] += 1
            # No markup: brackets in an answer are text.
            console.print(f"line {line.number} refused ({single.status_code}): {reason(single)}", markup=False, soft_wrap=True)
    return tally


def _statuses(answer: httpx.Response) -> Counter[str]:
    return Counter(event["status"] for event in answer.json()["events"])


def _post(client: httpx.Client, body: bytes, content_type: str) -> httpx.Response:
    """Tries again while the gateway says that it is busy or down; an answer that is about the request itself is final."""
    retrying = Retrying(
        retry=retry_if_result(lambda answer: answer is None or answer.status_code in {408, 429, 502, 503, 504}),
        wait=wait_random_exponential(multiplier=0.4, max=10),
        stop=stop_after_attempt(12),
    )

    def attempt() -> httpx.Response | None:
        try:
            return client.post("/v1/events", content=body, headers={"Content-Type": content_type})
        except httpx.TransportError:
            return None

    try:
        answer = retrying(attempt)
    except RetryError as error:
        raise typer.BadParameter(f"the gateway at {client.base_url} does not accept events; is it running?") from error
    assert answer is not None
    if answer.status_code in {401, 403}:
        raise typer.BadParameter(f"the gateway does not accept the key in RECOUP_API_KEY: {reason(answer)}")
    return answer


if __name__ == "__main__":
    app()
