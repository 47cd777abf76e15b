"""Synthesise, train, evaluate: everything about models that happens beside the line, never on it."""
