"""Every contract test has the bench."""

from tests.contract.bench import bench, call

__all__ = ["bench", "call"]
