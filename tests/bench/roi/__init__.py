"""Asks every figure of a large and of a small ledger at 20 requests a second: `python -m tests.bench.roi.main`."""
