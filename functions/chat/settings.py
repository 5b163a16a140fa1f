"""What the chat function needs to know."""

from typing import Literal

from shared.settings import (
    CacheSettings,
    CatalogSettings,
    DatabaseSettings,
    RoutingSettings,
    UsageQueueSettings,
    ValkeySettings,
)


class ChatSettings(
    DatabaseSettings, ValkeySettings, CatalogSettings, RoutingSettings, CacheSettings, UsageQueueSettings
):
    """`usage_delivery`: `inline` where the process freezes after an answer (Lambda), else `background`."""

    usage_delivery: Literal["inline", "background"] = "inline"
    max_body_bytes: int = 10 * 1024 * 1024
