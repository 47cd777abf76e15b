"""Reads and writes baselines over the operations API: what manual handling takes where no concurrent control says it."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer

from services.cli import ops_api
from shared.commands import check_option, print_rows

app = typer.Typer(add_completion=False, no_args_is_help=True, help="What manual handling takes: list, declare, study, renew.")


@app.callback()
def settings(
    *,
    check: Annotated[bool, check_option("baselines", ops_api.OpsApiSettings)] = False,  # done
) -> None:
    """What manual handling takes. Logs of real handling come in by `recoup import baseline`. The key is read from RECOUP_API_KEY."""


@app.command("list")
def listing(
    *,
    automation: Annotated[str | None, typer.Option(help="All of them where it is left out.")] = None,
    url: ops_api.Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Newest first; what has expired counts as declared (D)."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 200} | ({} if automation is None else {"automation": automation})
    while True:
        answer = ops_api.call(url, "GET", "/v1/baselines", query=query)
        found += answer["items"]
        if answer["next_cursor"] is None:
            break
        query["cursor"] = answer["next_cursor"]
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    print_rows(("id", "automation", "stratum", "grade", "mean s", "n", "valid from", "expires"), [_cells(row) for row in found])


@app.command()
def declare(
    automation: Annotated[str, typer.Argument(help="Whose manual handling this is.")],
    mean_seconds: Annotated[float, typer.Argument(min=0, help="Seconds of work per case.")],
    *,
    method: Annotated[str, typer.Option(help="Who says so, and why.")],
    stratum: Annotated[str, typer.Option(help="* holds for every stratum without its own.")] = "*",
    url: ops_api.Url = None,
) -> None:
    """Store what somebody says: grade D, without an interval."""
    body = {"automation": automation, "stratum": stratum, "mean_seconds": str(mean_seconds), "method": method}
    typer.echo(ops_api.call(url, "POST", "/v1/baselines", body=body)["id"])


@app.command()
def study(  # noqa: PLR0913  # the options of a command
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV with a column `seconds`, a line per case; at least 30.")],
    *,
    automation: Annotated[str, typer.Option(help="Whose manual handling this is.")],
    protocol: Annotated[str, typer.Option(help="How cases were chosen and what was timed; stored with the times.")],
    observer: Annotated[str, typer.Option(help="Who timed.")],
    observed_from: Annotated[datetime, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="UTC.")],
    observed_until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="UTC.")],
    stratum: Annotated[str, typer.Option(help="* holds for every stratum without its own.")] = "*",
    url: ops_api.Url = None,
) -> None:
    """Store a time study: grade C. Safe to repeat: a study is stored once."""
    body = {
        "automation": automation,
        "stratum": stratum,
        "protocol": protocol,
        "observer": observer,
        "observed_from": observed_from.replace(tzinfo=UTC).isoformat(),
        "observed_until": observed_until.replace(tzinfo=UTC).isoformat(),
        "seconds": _seconds(file),
    }
    stored = ops_api.call(url, "POST", "/v1/baselines/study", body=body)
    typer.echo(f"{stored['baselines'][0]['id']}" + ("" if stored["created"] else " (stored before)"))


@app.command()
def renew(
    baseline_id: Annotated[UUID, typer.Argument(help="Id of the baseline, from `list`.")],
    *,
    reason: Annotated[str, typer.Option(help="Why it still holds; stored and shown.")],
    url: ops_api.Url = None,
) -> None:
    """Let the baseline that holds now hold for another 90 days."""
    typer.echo(ops_api.call(url, "POST", f"/v1/baselines/{baseline_id}/renew", body={"reason": reason})["id"])


def _cells(row: dict[str, Any]) -> list[str]:
    grade = f"{row['grade']} (expired: D)" if row["expired"] else row["grade"]
    mean = f"{float(row['mean_seconds']):.1f}"
    return [row["id"], row["automation"], row["stratum"], grade, mean, str(row["n"]), row["valid_from"][:10], row["expires_at"][:10]]


def _seconds(file: Path) -> list[float]:
    with file.open(encoding="utf-8-sig", newline="") as content:
        reader = csv.DictReader(content)
        try:
            if "seconds" not in (reader.fieldnames or []):
                raise typer.BadParameter(f"{file.name}: line 1: no column seconds")
            return [float(row["seconds"]) for row in reader]
        except UnicodeDecodeError as error:
            raise typer.BadParameter(f"{file.name} is not in UTF-8 ({error.reason} at byte {error.start}); save it as CSV UTF-8") from error
        except (TypeError, ValueError, csv.Error) as error:
            raise typer.BadParameter(f"{file.name}: line {reader.line_num}: {error}") from error


if __name__ == "__main__":
    app()
