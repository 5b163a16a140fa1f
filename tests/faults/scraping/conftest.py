"""What crawls need beside the stores of the other fault tests."""

from tests.integration.conftest import objects

__all__ = ["objects"]
