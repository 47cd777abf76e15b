"""Model packs as tiers of a cascade."""
