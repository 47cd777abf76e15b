"""HTTP in: CloudEvents and signed webhooks to the event log."""
