"""Beside the line: finds what was forgotten, keeps the roll-ups, books fixed costs, watches the invariants."""
