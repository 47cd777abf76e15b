"""HTTP plumbing that every API shares: problem+json, limits, authentication, pages, health and metrics."""
