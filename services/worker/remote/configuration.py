"""How one automation's remote model is set: by whoever runs the installation, never by a tenant."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from ipaddress import ip_network
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from services.worker.remote.certificate import Certificate
from services.worker.remote.pricing import Price, price_at
from shared.money import Money, currency
from shared.security.guard import Policy

# An order begins nothing after 10 s and is ended softly after 20 s: calls must be over in between, with time left to write.
LONGEST: Final = timedelta(seconds=8)
_LOOPBACK: Final = tuple(ip_network(network) for network in ("127.0.0.0/8", "::1/128"))
_PRIVATE: Final = tuple(ip_network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
# Where a model may run, as what its address must be: data cannot leave the building because a name resolves differently one day.
_POLICIES: Final = {
    "edge": Policy(networks=_LOOPBACK, ports=(), require_https=False),
    "on_prem": Policy(networks=_LOOPBACK + _PRIVATE, ports=(), require_https=False),
    "cloud": Policy(),
}
_PROGRAMS: Final = frozenset({"langgraph", "dspy"})
_TARGET: Final = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatedPrice(_Value):
    """Valid from the start of that day, UTC, until a later one; all in one currency."""

    since: date
    input_per_million: Decimal = Field(default=Decimal(0), ge=0, max_digits=18, decimal_places=8)
    output_per_million: Decimal = Field(default=Decimal(0), ge=0, max_digits=18, decimal_places=8)
    per_call: Decimal = Field(default=Decimal(0), ge=0, max_digits=18, decimal_places=8)
    # Where the figure is from, for whoever audits the ledger.
    source: Name


class DatedCertificate(_Value):
    """What was measured for one exact subject, and the thresholds that it holds for (`certificate`)."""

    # As decisions name it: protocol, model, digest of everything else that shapes the answer.
    subject: Name
    error_level: float = Field(gt=0, lt=0.5)
    delta: float = Field(default=0.05, gt=0, le=0.1)
    # Cases of the certification set that the thresholds let pass, and how many of those were wrong.
    accepted: int = Field(ge=1)
    errors: int = Field(ge=0)
    minimum: dict[Name, float]


class RemoteModel(_Value):
    """One remote model; off for every tenant that is not named."""

    protocol: Literal["openai", "kserve", "langgraph", "dspy"]
    # openai: up to and without `/chat/completions`; kserve: up to and without `/v2`.
    url: Annotated[str, StringConstraints(max_length=2048)] | None = None
    # langgraph, dspy: `module:attribute` of a compiled graph or a program.
    target: Annotated[str, StringConstraints(max_length=200, pattern=_TARGET)] | None = None
    # A program's name changes with its code: certificates and decisions speak of it by this.
    model: Name
    # langgraph, dspy: all that the program's process finds in its environment, such as keys of its own.
    environment: dict[Name, SecretStr] = {}
    # For tenants' own prices, the rates `tokens:PROVIDER/MODEL:input` and `…:output`; by default the protocol.
    provider: Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\x00-\x20:/\x7f]+$")] | None = None
    key: SecretStr | None = None
    # Outcomes of the automation; kserve: in the order of the model's probabilities. Empty: every outcome that a person may choose.
    labels: tuple[Name, ...] = ()
    # Where the data may go; held against the address that is connected to.
    residency: Literal["edge", "on_prem", "cloud"]
    # Names of tenants, or "*" for all of them: nobody's data go anywhere unasked.
    tenants: frozenset[Name]
    # Of one call, retries included.
    timeout: timedelta = Field(default=timedelta(seconds=6), gt=timedelta(0), le=LONGEST)
    # Calls at once, of one process.
    concurrency: int = Field(default=4, ge=1, le=64)
    # openai: of an answer. langgraph, dspy: in and out each, that a program is expected to stay below.
    max_tokens: int = Field(default=64, ge=16, le=1_000_000)
    # Longer texts are cut.
    max_characters: int = Field(default=8_000, ge=100, le=100_000)
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    prices: tuple[DatedPrice, ...] = Field(min_length=1)
    # Of one tenant in one day, UTC.
    daily_cap: Decimal = Field(gt=0, max_digits=18, decimal_places=4)
    certificates: tuple[DatedCertificate, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.protocol in _PROGRAMS) != (self.target is not None) or (self.protocol in _PROGRAMS) == (self.url is not None):
            raise ValueError("openai and kserve need a url, langgraph and dspy a target")
        if self.protocol == "kserve" and not self.labels:
            raise ValueError("kserve needs labels, in the order of the model's probabilities")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ")
        return self

    @property
    def policy(self) -> Policy:
        return _POLICIES[self.residency]

    def serves(self, tenant: str) -> bool:
        return tenant in self.tenants or "*" in self.tenants

    @property
    def rate(self) -> str:
        """What the rates of this model are called, without direction."""
        return f"tokens:{self.provider or self.protocol}/{self.model}"

    def price(self, day: date) -> Price | None:
        """None before the first one."""
        return price_at(self.dated_prices(), day)

    def dated_prices(self) -> tuple[tuple[date, Price], ...]:
        code = currency(self.currency)
        return tuple((p.since, Price(p.input_per_million, p.output_per_million, p.per_call, code)) for p in self.prices)

    @property
    def cap(self) -> Money:
        return Money(self.daily_cap, currency(self.currency))

    def certified(self) -> tuple[Certificate, ...]:
        return tuple(
            Certificate(
                subject=c.subject, error_level=c.error_level, delta=c.delta, accepted=c.accepted, errors=c.errors, minimum=dict(c.minimum)
            )
            for c in self.certificates
        )
