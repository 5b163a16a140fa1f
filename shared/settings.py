"""Small settings models, one per concern; a function composes those it needs.

    class Settings(DatabaseSettings, StorageSettings): ...

Every variable begins with `WEIR_`. A missing one fails when the model is made, naming the variable; only
handlers make them, so that nothing below a handler reads the environment.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Base of all settings: reads `WEIR_<FIELD>`, immutable."""

    model_config = SettingsConfigDict(env_prefix="WEIR_", frozen=True, extra="ignore")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class DatabaseSettings(Settings):
    """Where PostgreSQL is, and how long to wait for a connection.

    `database_secret` names a secret whose value is a `postgresql://` URL or, as AWS rotates it, JSON with
    `username`, `password`, `host`, `port` and `dbname`.
    """

    database_secret: str
    database_pool_size: int = 4
    database_connect_seconds: PositiveFloat = 3.0


class ReplicaSettings(DatabaseSettings):
    """`database_reader_secret` names a secret with the login of a read replica; empty for none.

    Searches go there as soon as it has what their stores have.
    """

    database_reader_secret: str = ""


class ValkeySettings(Settings):
    """Where Valkey is, and how long a call may take before the request goes on without it.

    `valkey_secret` names a secret with the password of the user `default`, or with a whole URL that counts
    instead of `valkey_url`; empty for none.
    """

    valkey_url: str
    valkey_secret: str = ""
    valkey_cluster: bool = False
    valkey_timeout_ms: int = 50


class CacheSettings(Settings):
    """How answers are cached for who does not say otherwise.

    `cache_error_bound`: the share of answers by meaning that may be wrong.
    """

    cache_mode: Literal["off", "exact", "semantic"] = "exact"
    cache_ttl_seconds: PositiveInt = 3600
    cache_error_bound: Annotated[float, Field(gt=0, le=0.5)] = 0.02


class StorageSettings(Settings):
    """The bucket that holds uploads, scraped pages and batch files. Keys begin with the tenant."""

    bucket: str


class CatalogSettings(Settings):
    """Which providers there are.

    `catalog` is the user's own: a path, `s3://bucket/key` or `ssm:/name`; empty for none. `provider_secrets`
    is where a provider's key is, with `{provider}` or `{PROVIDER}` for its name.
    """

    catalog: str = ""
    provider_secrets: str = "secretsmanager:weir/providers/{provider}"


class RoutingSettings(Settings):
    """How many seconds a request waits for what; docs/routing.md says what follows.

    `request_seconds` stay below the time-out of the function, so that an answer which is cut off is billed.
    """

    request_seconds: PositiveFloat = 590.0
    first_token_seconds: PositiveFloat = 60.0
    stall_seconds: PositiveFloat = 45.0


class IngestionQueueSettings(Settings):
    """The queue that ingestion reads."""

    ingestion_queue_url: str


class ScrapingQueueSettings(Settings):
    """The queue that scraping reads."""

    scraping_queue_url: str


class BatchQueueSettings(Settings):
    """The queue that the batch function reads."""

    batch_queue_url: str


class UsageQueueSettings(Settings):
    """The queue that accounting reads."""

    usage_queue_url: str


class EmbeddingSettings(Settings):
    """The model that new vector stores embed with, unless they name another, and the semantic cache."""

    embedding_model: str = "text-embedding-3-small"


class RerankSettings(Settings):
    """`rerank_model`: a rerank or chat model that rates passages where a request asks for it; empty for none.

    `search_model_seconds` is how long a model that helps a search may take.
    """

    rerank_model: str = ""
    search_model_seconds: PositiveFloat = 10.0


class CompletionSettings(
    ReplicaSettings,
    ValkeySettings,
    CatalogSettings,
    RoutingSettings,
    CacheSettings,
    EmbeddingSettings,
    RerankSettings,
    UsageQueueSettings,
):
    """What the completion pipeline needs.

    `usage_delivery`: `inline` where the process freezes after an answer (Lambda), else `background`. So is
    done, before the end of an answer or after it, whatever no caller waits for.
    """

    usage_delivery: Literal["inline", "background"] = "inline"


class WebSocketSettings(Settings):
    """Where frames for WebSocket clients are sent: the URL of the API's stage, before `/@connections`."""

    websocket_callback_url: str
