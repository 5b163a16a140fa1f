"""Structured logs and EMF metrics, by Powertools. No message body, key or secret is ever logged."""

from typing import Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, Metrics, MetricUnit

__all__ = ["EphemeralMetrics", "Logger", "MetricUnit", "emit_breaker", "gateway_metrics", "logger", "metrics"]

NAMESPACE = "Weir"

# The service whose metrics these are, whichever function prints them.
GATEWAY = "gateway"

BreakerState = Literal["closed", "open"]

_BREAKER_VALUES: dict[BreakerState, float] = {"closed": 0.0, "open": 1.0}


def logger(service: str, level: str = "INFO") -> Logger:
    """A JSON logger for one function."""
    return Logger(service=service, level=level)


def metrics(service: str) -> Metrics:
    """EMF metrics for one function; flush with `metrics.flush_metrics()` where no decorator applies."""
    return Metrics(namespace=NAMESPACE, service=service)


def gateway_metrics(**dimensions: str) -> EphemeralMetrics:
    """Metrics of requests, for one EMF line apart from all others; print it with `flush_metrics()`."""
    line = EphemeralMetrics(namespace=NAMESPACE, service=GATEWAY)
    for name, value in dimensions.items():
        line.add_dimension(name, value)
    return line


def emit_breaker(deployment_id: str, state: BreakerState) -> None:
    """Print one EMF line: a breaker has changed. `BreakerState` is 0 closed, 1 open.

    It is there by `deployment` and over all of them, so that one alarm on its maximum sees any that opens.
    """
    line = gateway_metrics(deployment=deployment_id)
    line.add_dimensions(service=GATEWAY)
    line.add_metric("BreakerState", MetricUnit.NoUnit, _BREAKER_VALUES[state])
    line.flush_metrics()
