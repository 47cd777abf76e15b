"""Schema, roles, row-level security and triggers; `migrations.run` applies them."""
