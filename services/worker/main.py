"""Reads orders from Redis and cases from Postgres; writes decisions, reviews, ledger lines and callbacks, all in Postgres."""

from __future__ import annotations

import os
import tempfile
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, help="Decide cases.")

# One thread per process: processes are the parallelism, and thread pools neither help nor survive a fork.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


@app.command()
def main(
    *,
    check: Annotated[bool, typer.Option("--check", help="Validate the settings and exit.")] = False,
) -> None:
    """Decide until SIGTERM; one child process per core."""
    with tempfile.TemporaryDirectory(prefix="recoup-worker-") as folder:
        # Libraries read these when they are imported, so ours is imported after them.
        os.environ.update({"PROMETHEUS_MULTIPROC_DIR": folder, **_ONE_THREAD})  # noqa: TID251  # not settings of ours
        from services.worker.process import load_settings, serve  # noqa: PLC0415  # see above

        settings = load_settings()
        if check:
            typer.echo("The settings of the worker are valid.")
        else:
            serve(settings)


if __name__ == "__main__":
    app()
