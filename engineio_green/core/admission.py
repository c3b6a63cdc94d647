"""Who may open another session: how many there are in all, how many of one address, and how fast they come.

Owns the counts. Must not know requests: it is told an address. Not thread-safe: the shell holds a lock around each call.
"""

from __future__ import annotations

from engineio_green.core.settings import Settings


class Admission:
    """:param settings: ``max_sessions``, ``max_sessions_per_address`` and ``handshake_rate`` (count, seconds) count here."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sessions: dict[str, int] = {}
        self.total = 0
        self.draining = False
        """The server is on its way out: nobody enters any more."""
        self._buckets: dict[str, tuple[float, float]] = {}  # address: handshakes left, and since when
        self._clean_at = 10_000

    def try_enter(self, address: str, now: float) -> str | None:
        """Count a new session of *address*. Returns the name of the option that forbids it, if one does."""
        settings = self.settings
        if settings.max_sessions is not None and self.total >= settings.max_sessions:
            return "max_sessions"
        limit = settings.max_sessions_per_address
        if limit is not None and self.sessions.get(address, 0) >= limit:
            return "max_sessions_per_address"
        if settings.handshake_rate is not None and not self._take_token(address, now, *settings.handshake_rate):
            return "handshake_rate"
        self.total += 1
        if limit is not None:
            self.sessions[address] = self.sessions.get(address, 0) + 1
        return None

    def leave(self, address: str) -> None:
        """A session of *address* has ended."""
        self.total -= 1
        left = self.sessions.get(address, 0) - 1
        if left > 0:
            self.sessions[address] = left
        else:
            self.sessions.pop(address, None)

    def _take_token(self, address: str, now: float, count: int, seconds: float) -> bool:
        tokens, since = self._buckets.get(address, (float(count), now))
        tokens = min(count, tokens + (now - since) * count / seconds)
        if len(self._buckets) > self._clean_at:  # full buckets say nothing: many addresses must not fill the memory
            self._buckets = {key: value for key, value in self._buckets.items() if now - value[1] < seconds}
            self._clean_at = max(10_000, 2 * len(self._buckets))
        self._buckets[address] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1
