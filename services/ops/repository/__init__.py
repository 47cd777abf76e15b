"""The only SQL of this service. Every function runs inside the caller's transaction, whose tenant decides which rows exist."""
