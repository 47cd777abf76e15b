"""How long a case takes by hand, and how good the evidence for that is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class Grade(StrEnum):
    """Evidence, best first; the order of the letters is the order of the grades."""

    A = "A"
    """A concurrent randomised control."""
    B = "B"
    """An imported log of real manual handling."""
    C = "C"
    """A time study with a stored protocol."""
    D = "D"
    """Declared by somebody, or expired."""

    def reaches(self, minimum: Grade) -> bool:
        return self <= minimum


def worst(grades: Iterable[Grade]) -> Grade | None:
    return max(grades, default=None)


@dataclass(frozen=True, slots=True)
class Moments:
    """Number, sum (s) and sum of squares (s²) of human seconds per case, zeros included."""

    n: int
    total: float
    squares: float

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        return self.total / self.n

    @property
    def variance(self) -> float | None:
        """Unbiased; None for fewer than two cases."""
        if self.n < 2:
            return None
        # Rounding may leave a tiny negative rest where all times are equal.
        return max(0.0, (self.squares - self.total * self.total / self.n) / (self.n - 1))


EMPTY = Moments(0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Manual seconds per case.

    Attributes:
        variance: of single cases, s²; None where unknown.
        n: cases behind it.
        expired: it was better than D once.
    """

    mean: float
    variance: float | None
    n: int
    grade: Grade
    expired: bool = False

    @classmethod
    def measured(cls, control: Moments) -> Baseline:
        """From concurrent randomised control cases."""
        return cls(control.mean, control.variance, control.n, Grade.A)

    @classmethod
    def stored(cls, values: Moments | tuple[float, float | None, int], *, grade: Grade, expires_at: datetime, at: datetime) -> Baseline:
        """From a table of baselines, as it counts at one moment: past its expiry as declared, and what is declared has no interval.

        Args:
            values: moments, or ``(mean, variance or None, n)``.
        """
        mean, variance, n = (values.mean, values.variance, values.n) if isinstance(values, Moments) else values
        expired = expires_at <= at
        if expired or grade is Grade.D:
            return cls(mean, None, n, Grade.D, expired=expired and grade is not Grade.D)
        return cls(mean, variance, n, grade)
