"""Keys, signatures and sealed secrets: pure functions over bytes."""
