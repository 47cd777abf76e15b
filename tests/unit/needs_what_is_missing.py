"""Stands for a process whose extra is not installed."""

import no_such_distribution  # type: ignore[import-not-found]  # that is the point

app = no_such_distribution.app
