"""The whole line as real processes, a company that uses it, and a checker that believes neither."""
