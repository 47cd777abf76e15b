"""What review pages load: files that are served as they are."""
