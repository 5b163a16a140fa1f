"""Prices of a model, and the cost of one request in micro-dollars, exact to the last of them."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shared.ledger.holidays import expand_calendars

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

_WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MIDNIGHT = time()

# One dollar per million tokens is one micro-dollar per token. Prices have up to six decimals, so sums are
# kept in integers, in millionths of a micro-dollar.
_DECIMALS = 6
_UNITS: int = 10**_DECIMALS

Dollars = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=_DECIMALS)]


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as 'Asia/Shanghai'") from error
    return name


class PeakHours(BaseModel):
    """When peak prices hold: on `weekdays` but not on `holidays`, within one of `hours`, all in local time.

    `hours` are `[start, end)`; an end of 00:00 is the end of the day. Hours over midnight are two entries.
    `holidays` are dates, or names of calendars in `shared.ledger.holidays`: `["china", 2028-01-03]`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weekdays: frozenset[Weekday]
    hours: tuple[tuple[time, time], ...] = Field(min_length=1)
    timezone: Annotated[str, AfterValidator(_known_timezone)]
    holidays: Annotated[frozenset[date], BeforeValidator(expand_calendars)] = frozenset()

    @model_validator(mode="after")
    def _hours_go_forward(self) -> Self:
        for start, end in self.hours:
            if start.tzinfo or end.tzinfo:
                raise ValueError("hours are local times: leave the UTC offset out")
            if end not in (_MIDNIGHT,) and start >= end:
                raise ValueError(
                    f"hours {start}-{end} run backwards; write hours over midnight as two entries"
                )
        return self

    def contains(self, at: datetime) -> bool:
        """Whether the moment `at` (aware) is within peak hours."""
        local = at.astimezone(ZoneInfo(self.timezone))
        if _WEEK[local.weekday()] not in self.weekdays or local.date() in self.holidays:
            return False
        now = local.time()
        return any(start <= now and (now < end or end == _MIDNIGHT) for start, end in self.hours)


class Price(BaseModel):
    """USD per million tokens, at most six decimals.

    `cached_input` is for prompt tokens that the provider read from its own cache; without it they cost
    `input`. With `peak`, the `peak_*` prices hold in those hours. Reasoning tokens are output tokens. `batch`
    is the factor, from 0 to 1, by which all of them are multiplied for lines of batches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Dollars
    cached_input: Dollars | None = None
    output: Dollars
    peak_input: Dollars | None = None
    peak_cached_input: Dollars | None = None
    peak_output: Dollars | None = None
    peak: PeakHours | None = None
    batch: Annotated[Decimal, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _peak_is_whole(self) -> Self:
        peaks = (self.peak_input, self.peak_cached_input, self.peak_output)
        if self.peak is None:
            if any(price is not None for price in peaks):
                raise ValueError("peak prices need 'peak', the hours in which they hold")
        elif self.peak_input is None or self.peak_output is None:
            raise ValueError("'peak' needs 'peak_input' and 'peak_output'")
        elif (self.peak_cached_input is None) != (self.cached_input is None):
            raise ValueError("'cached_input' and 'peak_cached_input' go together")
        return self


def cost_microdollars(
    price: Price, *, prompt_tokens: int, cached_tokens: int, completion_tokens: int, at: datetime
) -> int:
    """Cost of one request in millionths of a US dollar, rounded half up once.

    Args:
        prompt_tokens: All prompt tokens, those read from the provider's cache included.
        cached_tokens: Of these, how many came from the cache; more than all count as all.
        completion_tokens: All completion tokens, reasoning included.
        at: When the request was sent (aware); decides between peak and ordinary price.
    """
    prompt, cached, output = _in_force(price, at)
    from_cache = min(cached_tokens, prompt_tokens)
    units = (
        (prompt_tokens - from_cache) * _to_units(prompt)
        + from_cache * _to_units(cached)
        + completion_tokens * _to_units(output)
    )
    return (units + _UNITS // 2) // _UNITS


def _in_force(price: Price, at: datetime) -> tuple[Decimal, Decimal, Decimal]:
    """Prices of fresh input, cached input and output at that moment."""
    prompt, cached, output = price.input, price.cached_input, price.output
    if price.peak is not None and price.peak.contains(at):
        if price.peak_input is None or price.peak_output is None:
            raise AssertionError("validated: peak hours come with peak prices")
        prompt, cached, output = price.peak_input, price.peak_cached_input, price.peak_output
    return prompt, prompt if cached is None else cached, output


def _to_units(dollars: Decimal) -> int:
    return int(dollars * _UNITS)
