"""What a scrape sees of gauges whose labels come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from shared.telemetry.gauges import show_only

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scraped(dict[str, float]):
    """Values that are looked at one after the other, with a scrape before each and after the last."""

    def __init__(self, registry: CollectorRegistry, values: dict[str, float]) -> None:
        super().__init__(values)
        self._registry = registry
        self.scrapes: list[set[str]] = []

    def items(self) -> Iterator[tuple[str, float]]:  # type: ignore[override]  # all that is asked of a mapping here
        for item in super().items():
            self.scrapes.append(scrape(self._registry))
            yield item
        self.scrapes.append(scrape(self._registry))


def scrape(registry: CollectorRegistry) -> set[str]:
    return {line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")}


def test_a_scrape_while_a_gauge_is_set_anew_misses_nothing_that_stays() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("braked", "Brakes.", ["automation"], registry=registry)
    show_only(gauge, {"claims": 1, "invoices": 1})
    values = Scraped(registry, {"claims": 2, "complaints": 1})
    show_only(gauge, values)
    before, between, after = values.scrapes
    assert before == {'braked{automation="claims"} 1.0', 'braked{automation="invoices"} 1.0'}
    assert between == {'braked{automation="claims"} 2.0', 'braked{automation="invoices"} 1.0'}
    assert after == between | {'braked{automation="complaints"} 1.0'}
    assert scrape(registry) == {'braked{automation="claims"} 2.0', 'braked{automation="complaints"} 1.0'}


def test_a_gauge_of_nothing_shows_nothing() -> None:
    registry = CollectorRegistry()
    gauge = Gauge("drifted", "Models.", ["automation"], registry=registry)
    for values in ({}, {"claims": 1.0}, {}):
        show_only(gauge, values)
    assert scrape(registry) == set()
