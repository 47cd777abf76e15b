"""Models that run elsewhere, each behind the interface that local tiers have."""
