"""Simulated deployments whose true savings and error rates are known."""
