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
    check: Annotated[bool, typer.Option("--check", help="Check the settings and end.")] = False,  # noqa: FBT002  # a flag of the CLI
) -> None:
    with tempfile.TemporaryDirectory(prefix="recoup-worker-") as folder:
        # Libraries read these when they are imported, so ours is imported after them.
        os.environ.update({"PROMETHEUS_MULTIPROC_DIR": folder, **_ONE_THREAD})  # noqa: TID251  # not settings of ours
        from services.worker.process import load_settings, serve  # noqa: PLC0415  # see above

        settings = load_settings()
        if not check:
            serve(settings)


if __name__ == "__main__":
    app()
