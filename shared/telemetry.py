"""Structured logs and EMF metrics, by Powertools. No message body, key or secret is ever logged."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

__all__ = ["Logger", "MetricUnit", "logger", "metrics"]

NAMESPACE = "Weir"


def logger(service: str, level: str = "INFO") -> Logger:
    """A JSON logger for one function."""
    return Logger(service=service, level=level)


def metrics(service: str) -> Metrics:
    """EMF metrics for one function; flush with `metrics.flush_metrics()` where no decorator applies."""
    return Metrics(namespace=NAMESPACE, service=service)
