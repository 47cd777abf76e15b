"""taskqueue."""
