"""Reads the command line only; starts one process's main or an administrative task, and imports nothing else of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Annotated

import typer

from shared import release

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Recoup: event-driven business automation that proves what it saves.",
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001  # the signature of an option's callback
    if asked:
        typer.echo(f"recoup {release.VERSION}, schema {release.SCHEMA}, Python {release.PYTHON}")
        raise typer.Exit


@app.callback()
def _options(
    *, version: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show versions and exit.")] = False
) -> None:
    """Of `recoup` itself; each command has its own."""


@dataclass(frozen=True, slots=True)
class Command:
    """A typer application elsewhere; ``extra`` is the part of the distribution that it needs."""

    name: str
    module: str
    extra: str
    help: str


COMMANDS = (
    Command("up", "services.supervisor.main", "embedded", "Start everything on this machine: PostgreSQL, Redis and every process."),
    Command("demo", "services.lab.demo.main", "all", "Run the whole line once and print what it saved."),
    Command("gateway", "services.gateway.main", "api", "HTTP in: webhooks and CloudEvents to the event log."),
    Command("dispatch", "services.dispatcher.main", "kafka", "Kafka to the inbox, and orders to the workers."),
    Command("work", "services.worker.main", "worker", "Decide cases."),
    Command("courier", "services.courier.main", "courier", "Decisions out: signed webhooks and the decisions topic."),
    Command("steward", "services.steward.main", "measure", "Reaper, roll-ups, partitions, platform costs, invariants."),
    Command("ops", "services.ops.main", "api", "API for people: reviews, replay, configuration."),
    Command("roi", "services.roi.main", "api", "API for figures: what automation saved."),
    Command("migrate", "migrations.run", "", "Create roles and bring the schema and the topics up to date."),
    Command("replay", "services.ops.replay", "api", "Send quarantined cases to the workers again."),
    Command("poison", "services.dispatcher.poison", "", "Records of the event log that could not be read: count, show, replay, discard."),
    Command("import", "services.cli.importing", "", "Send events, or a log of manual handling, from a file."),
    Command("baselines", "services.cli.baselines", "", "What manual handling takes: list, declare, study, renew."),
    Command("ledger", "services.steward.ledger", "", "Verify the sealed ledger, and add the sums of figures up anew."),
    Command("keys", "services.ops.keys", "", "Tenants, API keys and the vault's key."),
    Command("plan", "services.cli.planning", "measure", "How many cases to hold out: what that gives, and what it costs."),
    Command("truth", "services.lab.truth.main", "measure", "Simulate deployments with known truth and judge the figures."),
    Command("certify", "services.worker.remote.certify", "worker", "Prove what a model that runs elsewhere may decide."),
    Command("lab", "services.lab.main", "lab", "Synthesise, train and evaluate models."),
)


def run(command: Command, arguments: list[str]) -> None:
    """Hand over to the command's own application; exits with its status."""
    try:
        module = import_module(command.module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in {"services", "shared", "migrations"}:
            raise
        distribution = f"recoup[{command.extra}]" if command.extra else "recoup"
        typer.echo(f"recoup {command.name} needs {error.name!r}: pip install '{distribution}'", err=True)
        raise typer.Exit(2) from error
    module.app(arguments, prog_name=f"recoup {command.name}")


def _register(command: Command) -> None:
    @app.command(
        command.name,
        help=command.help,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    )
    def forward(context: typer.Context) -> None:
        run(command, context.args)


for _command in COMMANDS:
    _register(_command)


if __name__ == "__main__":
    app()
