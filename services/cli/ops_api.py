"""Calls the operations API with the key in RECOUP_API_KEY, and says in one line what went wrong."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import orjson
import typer
from pydantic import SecretStr
from pydantic_settings import BaseSettings
from tenacity import RetryError, Retrying, retry_if_result, stop_after_attempt, wait_random_exponential

from shared.settings import load, prefixed

Url = Annotated[str | None, typer.Option(help="The operations API; RECOUP_OPS_URL where it is left out.")]

_MOST_FAULTS = 3


class OpsApiSettings(BaseSettings):
    model_config = prefixed("RECOUP_")

    # A key with the role admin.
    api_key: SecretStr
    ops_url: str = "http://127.0.0.1:8081"


def call(url: str | None, method: str, path: str, *, body: object = None, query: dict[str, Any] | None = None) -> Any:
    """The answer's JSON; exits with a line for people where there is none.

    Asks again while the API cannot be reached or says that it is busy; a request that may have been carried out is not sent twice.
    """
    settings = load(OpsApiSettings)
    url = url or settings.ops_url
    with client_of(url, settings.api_key.get_secret_value()) as client:
        retrying = Retrying(
            retry=retry_if_result(lambda answer: answer is None or answer.status_code in {408, 429, 502, 503, 504}),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            stop=stop_after_attempt(6),
        )
        try:
            answer = retrying(_attempt, client, method, path, body, query)
        except RetryError:
            answer = None
    if answer is None:
        raise typer.BadParameter(f"the operations API at {url} does not answer; is it running?")
    if not answer.is_success:
        raise typer.BadParameter(f"the operations API refuses ({answer.status_code}): {reason(answer)}")
    return orjson.loads(answer.content)


def client_of(url: str, key: str) -> httpx.Client:
    """Of one of our APIs; exits with a line for people where the address or the key cannot be one."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise typer.BadParameter(f"{url} is no address: {error}") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise typer.BadParameter(f"{url} is no address: it begins with http:// or https:// and a host")
    if not key.isascii():
        raise typer.BadParameter("RECOUP_API_KEY is no key: keys begin with rk_ and have letters and digits only")
    return httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=30)


def _attempt(client: httpx.Client, method: str, path: str, body: object, query: dict[str, Any] | None) -> httpx.Response | None:
    content = None if body is None else orjson.dumps(body)
    try:
        return client.request(method, path, content=content, params=query, headers={"Content-Type": "application/json"})
    except httpx.ConnectError:
        return None
    except httpx.TransportError as error:
        raise typer.BadParameter(
            f"the operations API at {client.base_url} broke off ({type(error).__name__}); look what it has done"
        ) from error


def reason(answer: httpx.Response) -> str:
    """Why one of our APIs refuses, in words: its sentence, then the first faults that it names, or the roles that it asks for."""
    try:
        problem = orjson.loads(answer.content)
        sentence = str(problem["detail"])
        faults = [f"{error['field']}: {error['problem']}" for error in problem.get("errors", [])]
        needs = [f"needs one of the roles {', '.join(problem['needs'])}"] if problem.get("needs") else []
        return _with(sentence, [*faults, *needs])
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return answer.reason_phrase


def _with(sentence: str, faults: list[str]) -> str:
    more = [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
    return f"{sentence} ({'; '.join([*faults[:_MOST_FAULTS], *more])})" if faults else sentence
