"""The ledger: what is booked, and the only code that books it."""
