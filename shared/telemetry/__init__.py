"""Logs, metrics, traces and error reports: what operators see of a process."""
