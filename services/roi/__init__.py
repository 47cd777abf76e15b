"""What automation saved, as an API for executives: answers from roll-ups, never from scans of the ledger."""
