"""Micro-dollars, in which Weir counts, and dollars, in which people think."""

from decimal import Decimal

MICRODOLLARS = 1_000_000


def dollars(microdollars: int) -> str:
    """An exact amount in dollars, without needless zeros: `12.5`."""
    whole, rest = divmod(microdollars, MICRODOLLARS)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".")


def microdollars(amount: Decimal) -> int:
    """An amount of dollars with at most six decimal places."""
    return int(amount * MICRODOLLARS)
