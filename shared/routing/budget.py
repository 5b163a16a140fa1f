"""The retry budget: retries, hedges and fallbacks add a tenth to the load at most, however much fails.

Each request deposits a tenth of a retry. A quiet system may always retry a little: below `_START` the balance
grows by `_REFILL` a second too. `exchange.lua` keeps the one that all processes share; this one serves
without Valkey.
"""

from dataclasses import dataclass

_DEPOSIT = 0.1
_START = 10.0
_MOST = 1000.0
_REFILL = 1.0


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """Retries that may be made, as of `at` (seconds)."""

    balance: float = _START
    at: float = 0.0

    def after(self, requests: int, now: float) -> "RetryBudget":
        """The budget when so many requests have begun."""
        balance = self.balance
        if balance < _START:
            balance = min(_START, balance + _REFILL * max(0.0, now - self.at))
        return RetryBudget(min(_MOST, balance + _DEPOSIT * requests), now)

    def less_one(self) -> "RetryBudget | None":
        """The budget when one retry is taken; `None`: it does not allow one."""
        return RetryBudget(self.balance - 1, self.at) if self.balance >= 1 else None
