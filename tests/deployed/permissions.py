"""What each function may do in AWS, as calls to try with its role."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tests.deployed.stack import Stack

Function = Literal[
    "Chat",
    "Api",
    "Ingestion",
    "Scraping",
    "Rendering",
    "Accounting",
    "Cleanup",
    "Migrations",
    "Connections",
    "Turns",
    "Batch",
]
FUNCTIONS: tuple[Function, ...] = get_args(Function)

# Who may do what. Whatever is not here is to be refused.
_SENDS: dict[str, set[Function]] = {
    "IngestionQueue": {"Api", "Ingestion", "Cleanup"},
    "ScrapingQueue": {"Api", "Scraping", "Rendering", "Cleanup"},
    "RenderingQueue": {"Rendering"},
    "UsageQueue": {"Chat", "Api", "Ingestion", "Scraping", "Turns", "Batch"},
    "TurnsQueue": {"Connections"},
    "BatchQueue": {"Api", "Cleanup", "Batch"},
}
_RECEIVES: dict[str, set[Function]] = {
    "IngestionQueue": {"Ingestion"},
    "ScrapingQueue": {"Scraping"},
    "RenderingQueue": {"Rendering"},
    "UsageQueue": {"Accounting"},
    "TurnsQueue": {"Turns"},
    "BatchQueue": {"Batch"},
}
_WRITES: dict[str, set[Function]] = {
    "acme/files/a/b.md": {"Api", "Scraping", "Batch"},
    "acme/texts/a/b.md": {"Api", "Ingestion"},
    "acme/secrets/a": set(),
    "files/a": set(),
}
_READS: dict[str, set[Function]] = {
    "acme/files/a/b.md": {"Api", "Ingestion", "Cleanup", "Batch"},
    "acme/texts/a/b.md": {"Api", "Ingestion"},
    "acme/secrets/a": set(),
}
_DELETES: dict[str, set[Function]] = {
    "acme/files/a/b.md": {"Api", "Scraping", "Cleanup"},
    "acme/texts/a/b.md": {"Api", "Ingestion", "Scraping", "Cleanup"},
    "acme/secrets/a": set(),
}
_LISTS: set[Function] = {"Api", "Ingestion", "Scraping", "Cleanup", "Batch"}
_CALLS_MODELS: set[Function] = {"Chat", "Api", "Ingestion", "Scraping", "Turns", "Batch"}
_SECRETS: dict[str, set[Function]] = {
    "weir/database": set(FUNCTIONS),
    "weir/owner": {"Migrations"},
    "weir/providers/openai": _CALLS_MODELS,
    "weir/other": set(),
    "billing": set(),
}
_POSTS_FRAMES: set[Function] = {"Connections", "Turns"}


@dataclass(frozen=True)
class Call:
    """One call of AWS, and whether it is to be allowed. It may fail for another reason all the same.

    `url`: where a service answers that has no single place; `None`: where services are.
    """

    service: str
    method: str
    arguments: dict[str, Any]
    allowed: bool
    url: str | None = None


def calls_of(stack: Stack, function: Function, other_queue: str) -> list[Call]:
    """What a function is tried with; `other_queue` is the URL of one that is not the stack's."""
    return [
        *_of_queues(stack, function, other_queue),
        *_of_objects(stack, function),
        *_of_websockets(stack, function),
        *_of_the_rest(stack, function),
    ]


def _of_queues(stack: Stack, function: Function, other: str) -> Iterator[Call]:
    # Delayed, so that no worker meets what is no message.
    message = {"MessageBody": "{}", "DelaySeconds": 900}
    for queue in stack.of_kind("AWS::SQS::Queue"):
        url = {"QueueUrl": stack.resources[queue]}
        yield Call("sqs", "send_message", {**url, **message}, function in _SENDS.get(queue, set()))
        yield Call("sqs", "receive_message", url, function in _RECEIVES.get(queue, set()))
        yield Call("sqs", "purge_queue", url, allowed=False)
    yield Call("sqs", "send_message", {"QueueUrl": other, **message}, allowed=False)


def _of_objects(stack: Stack, function: Function) -> Iterator[Call]:
    bucket = {"Bucket": stack.resources["Bucket"]}
    for key, writers in _WRITES.items():
        yield Call("s3", "put_object", {**bucket, "Key": key, "Body": "x"}, function in writers)
    for key, readers in _READS.items():
        yield Call("s3", "get_object", {**bucket, "Key": key}, function in readers)
    for key, deleters in _DELETES.items():
        yield Call("s3", "delete_object", {**bucket, "Key": key}, function in deleters)
    yield Call("s3", "list_objects_v2", bucket, function in _LISTS)
    yield Call("s3", "put_bucket_policy", {**bucket, "Policy": "{}"}, allowed=False)
    catalog = {"Bucket": "settings", "Key": "catalog.toml"}
    yield Call("s3", "get_object", catalog, function in _CALLS_MODELS)
    yield Call("s3", "put_object", {**catalog, "Body": "x"}, allowed=False)
    yield Call("s3", "get_object", {"Bucket": "other", "Key": "acme/files/a/b.md"}, allowed=False)


def _of_websockets(stack: Stack, function: Function) -> Iterator[Call]:
    service, connection = "apigatewaymanagementapi", {"ConnectionId": "nobody"}
    frame = {**connection, "Data": "{}"}
    own = stack.connections_url
    other = own.replace(stack.resources["WebSocketApi"], "a1b2c3d4")
    yield Call(service, "post_to_connection", frame, function in _POSTS_FRAMES, own)
    yield Call(service, "get_connection", connection, allowed=False, url=own)
    yield Call(service, "delete_connection", connection, allowed=False, url=own)
    yield Call(service, "post_to_connection", frame, allowed=False, url=other)


def _of_the_rest(stack: Stack, function: Function) -> Iterator[Call]:
    for name, readers in _SECRETS.items():
        yield Call("secretsmanager", "get_secret_value", {"SecretId": name}, function in readers)
    word = {"SecretId": "weir/database", "SecretString": "x"}
    yield Call("secretsmanager", "put_secret_value", word, allowed=False)
    cleanup = {"FunctionName": stack.resources["CleanupFunction"]}
    yield Call("lambda", "invoke", cleanup, allowed=False)
    yield Call("lambda", "get_function_configuration", cleanup, allowed=False)
    yield Call("iam", "list_roles", {}, allowed=False)
