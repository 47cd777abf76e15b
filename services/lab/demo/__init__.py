"""The whole line once, on this machine: a simulated business system, a simulated back office, and the truth that both know."""
