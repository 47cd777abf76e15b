"""What becomes of a case: decisions on their way out, work for people, and the states in between."""
