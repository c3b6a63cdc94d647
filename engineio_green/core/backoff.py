"""How long a client waits before it tries to connect again: ever longer, and never all clients at the same moment.

Owns the arithmetic. Must not wait, and draws no random numbers: it is given them.
"""

from __future__ import annotations

from dataclasses import dataclass

from engineio_green.exceptions import SettingError


@dataclass(frozen=True, slots=True)
class Backoff:
    """The delays between attempts, in seconds.

    :param first: the delay before the first attempt.
    :param longest: what a delay doesn't exceed before it is spread.
    :param spread: 0 to 1; each delay is drawn from its own value minus to plus this part of it.
    :param attempts: how many attempts there are; 0: no end.
    """

    first: float = 1.0
    longest: float = 30.0
    spread: float = 0.5
    attempts: int = 0

    def __post_init__(self) -> None:
        numbers = {"reconnection_delay": self.first, "reconnection_delay_max": self.longest, "randomization_factor": self.spread}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise SettingError(f"{name} must be a number, not {value!r}")
        if not 0 < self.first <= self.longest:
            raise SettingError(
                f"reconnection_delay must be above 0 and at most reconnection_delay_max: {self.first!r}, {self.longest!r}"
            )
        if not 0 <= self.spread <= 1:
            raise SettingError(f"randomization_factor must be 0 to 1, not {self.spread!r}")
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 0:
            raise SettingError(f"reconnection_attempts must be an integer, 0 (no end) or more, not {self.attempts!r}")

    def delay(self, attempt: int, chance: float) -> float | None:
        """Return the seconds before *attempt* (1, 2, ...), ``None`` when there is none. *chance* is random, from 0 to 1."""
        if self.attempts and attempt > self.attempts:
            return None
        doubled = self.first * float(1 << min(attempt - 1, 60))
        return min(doubled, self.longest) * (1 + self.spread * (2 * chance - 1))
