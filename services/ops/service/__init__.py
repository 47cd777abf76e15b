"""What happens, noun by noun. Every function runs inside the caller's transaction."""
