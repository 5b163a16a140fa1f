"""What a large batch needs besides what all tests of faults have."""

from tests.integration.conftest import embedding_url, local_cloud, valkey_url

__all__ = ["embedding_url", "local_cloud", "valkey_url"]
