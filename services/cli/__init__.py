"""The `recoup` command."""
