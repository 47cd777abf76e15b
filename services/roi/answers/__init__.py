"""Answers beside the figures themselves, one module each: sums in, what is said about them out."""
