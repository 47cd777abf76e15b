"""What a command says of its settings, asked in this process: one of its own takes a second or more to import the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from typer.testing import CliRunner, Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    import typer


def checked(app: typer.Typer, settings: Mapping[str, str]) -> Result:
    """``--check`` with these settings and none of this shell's."""
    ours: dict[str, str | None] = dict.fromkeys(name for name in os.environ if name.startswith("RECOUP_"))  # noqa: TID251  # to hide them
    return CliRunner().invoke(app, ["--check"], env=ours | dict(settings))
