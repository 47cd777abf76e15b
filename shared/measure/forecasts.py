"""How manual seconds are forecast from earlier days: constants that sums in the database and simulations share."""

from __future__ import annotations

# A stratum's forecast counts as this many cases of the mean of all strata, until it has its own.
BORROWED = 5
# No slope of a covariate, and no always-valid interval, before this many control cases: the theorem speaks of many, and times are heavy
# tailed.
FIRST_LOOK = 50
