"""The steward's SQL, by what it is about. Every statement is short and set-based; time is the database's."""
