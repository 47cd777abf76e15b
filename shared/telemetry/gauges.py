"""Gauges whose labels come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import Gauge


def show_only(gauge: Gauge, values: Mapping[str, float]) -> None:
    """Have the gauge show these values and nothing else; a scrape meanwhile sees each series that was there and stays.

    Args:
        gauge: with one label.
        values: by the label's value.
    """
    for value, number in values.items():
        gauge.labels(value).set(number)
    shown = {label for metric in gauge.collect() for sample in metric.samples for label in sample.labels.values()}
    for gone in shown - values.keys():
        gauge.remove(gone)
