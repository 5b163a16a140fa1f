"""Every function, with the role that the template gives it, is refused what it should not touch."""

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from tests.deployed.stack import ACCOUNT, Stack, aws

# The first test waits for the build and the deployment.
pytestmark = pytest.mark.timeout(600)

# Runs as a function, with a function's role, and says how each of many calls of AWS ends.
PROBE = """
from functools import cache

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

@cache
def client(service):
    return boto3.client(service, config=Config(signature_version="s3v4" if service == "s3" else None))

def ending(service, method, arguments):
    try:
        getattr(client(service), method)(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "Allowed"

def handle(event, context):
    return [ending(*call) for call in event]
"""

REFUSED = {"AccessDenied", "AccessDeniedException", "403"}

Function = Literal[
    "Chat",
    "Api",
    "Ingestion",
    "Scraping",
    "Accounting",
    "Cleanup",
    "Migrations",
    "Connections",
    "Turns",
    "Batch",
]
FUNCTIONS: tuple[Function, ...] = (
    "Chat",
    "Api",
    "Ingestion",
    "Scraping",
    "Accounting",
    "Cleanup",
    "Migrations",
    "Connections",
    "Turns",
    "Batch",
)

# Who may do what. Whatever is not here is to be refused.
SENDS: dict[str, set[Function]] = {
    "IngestionQueue": {"Api", "Ingestion", "Cleanup"},
    "ScrapingQueue": {"Api", "Scraping", "Cleanup"},
    "UsageQueue": {"Chat", "Api", "Ingestion", "Turns", "Batch"},
    "TurnsQueue": {"Connections"},
    "BatchQueue": {"Api", "Cleanup", "Batch"},
    "UsageDeadLetters": set(),
}
RECEIVES: dict[str, set[Function]] = {
    "IngestionQueue": {"Ingestion"},
    "ScrapingQueue": {"Scraping"},
    "UsageQueue": {"Accounting"},
    "TurnsQueue": {"Turns"},
    "BatchQueue": {"Batch"},
}
WRITES: dict[str, set[Function]] = {
    "acme/files/a/b.md": {"Api", "Scraping", "Batch"},
    "acme/texts/a/b.md": {"Api", "Ingestion"},
    "acme/secrets/a": set(),
    "files/a": set(),
}
READS: dict[str, set[Function]] = {
    "acme/files/a/b.md": {"Api", "Ingestion", "Cleanup", "Batch"},
    "acme/texts/a/b.md": {"Api", "Ingestion"},
    "acme/secrets/a": set(),
}
SECRETS: dict[str, set[Function]] = {
    "weir/database": set(FUNCTIONS),
    "weir/owner": {"Migrations"},
    "weir/providers/openai": {"Chat", "Api", "Ingestion", "Turns", "Batch"},
    "weir/other": set(),
    "billing": set(),
}


@dataclass(frozen=True)
class Call:
    """One call of AWS, and whether it is to be allowed. It may fail for another reason all the same."""

    service: str
    method: str
    arguments: dict[str, Any]
    allowed: bool


@pytest.fixture(scope="module")
def probe_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("probe.py", PROBE)
    return packed.getvalue()


@pytest.fixture(scope="module", autouse=True)
def others(stack: Stack) -> str:
    """What is in the account beside the stack, and its providers' keys. The URL of a queue."""
    secrets = aws(stack.cloud, "secretsmanager")
    for name in ("weir/providers/openai", "weir/other", "billing"):
        secrets.create_secret(Name=name, SecretString="word")
    aws(stack.cloud, "s3").create_bucket(Bucket="other")
    return aws(stack.cloud, "sqs").create_queue(QueueName="other")["QueueUrl"]


def of_queues(stack: Stack, function: Function, other: str) -> Iterator[Call]:
    # Delayed, so that no worker meets what is no message.
    message = {"MessageBody": "{}", "DelaySeconds": 900}
    for queue, senders in SENDS.items():
        url = stack.resources[queue]
        yield Call("sqs", "send_message", {"QueueUrl": url, **message}, function in senders)
    for queue, receivers in RECEIVES.items():
        url = stack.resources[queue]
        yield Call("sqs", "receive_message", {"QueueUrl": url}, function in receivers)
        yield Call("sqs", "purge_queue", {"QueueUrl": url}, allowed=False)
    yield Call("sqs", "send_message", {"QueueUrl": other, **message}, allowed=False)


def of_objects(stack: Stack, function: Function) -> Iterator[Call]:
    bucket = stack.resources["Bucket"]
    for key, writers in WRITES.items():
        yield Call("s3", "put_object", {"Bucket": bucket, "Key": key, "Body": "x"}, function in writers)
    for key, readers in READS.items():
        yield Call("s3", "get_object", {"Bucket": bucket, "Key": key}, function in readers)
    yield Call("s3", "get_object", {"Bucket": "other", "Key": "acme/files/a/b.md"}, allowed=False)
    yield Call("s3", "put_bucket_policy", {"Bucket": bucket, "Policy": "{}"}, allowed=False)


def of_the_rest(stack: Stack, function: Function) -> Iterator[Call]:
    for name, readers in SECRETS.items():
        yield Call("secretsmanager", "get_secret_value", {"SecretId": name}, function in readers)
    word = {"SecretId": "weir/database", "SecretString": "x"}
    yield Call("secretsmanager", "put_secret_value", word, allowed=False)
    cleanup = {"FunctionName": stack.resources["CleanupFunction"]}
    yield Call("lambda", "invoke", cleanup, allowed=False)
    yield Call("lambda", "get_function_configuration", cleanup, allowed=False)
    yield Call("iam", "list_roles", {}, allowed=False)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_allows_what_its_function_does_and_no_more(
    stack: Stack, function: Function, others: str, probe_zip: bytes
) -> None:
    calls = [
        *of_queues(stack, function, others),
        *of_objects(stack, function),
        *of_the_rest(stack, function),
    ]
    endings = as_function(stack, function, probe_zip, calls)
    wrong = [
        f"{call.service}:{call.method} {call.arguments}: {ending}"
        for call, ending in zip(calls, endings, strict=True)
        if call.allowed == (ending in REFUSED)
    ]
    assert wrong == []


def as_function(stack: Stack, function: Function, probe_zip: bytes, calls: Sequence[Call]) -> list[str]:
    """How calls end with a function's role."""
    functions, name = aws(stack.cloud, "lambda"), f"probe-{function}"
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="probe.handle",
        Role=f"arn:aws:iam::{ACCOUNT}:role/{stack.resources[f'{function}FunctionRole']}",
        Code={"ZipFile": probe_zip},
        Timeout=60,
    )
    event = [(call.service, call.method, call.arguments) for call in calls]
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event))
    endings = json.loads(answer["Payload"].read())
    assert isinstance(endings, list), endings
    functions.delete_function(FunctionName=name)
    return endings


def test_the_bucket_takes_nothing_unencrypted(stack: Stack) -> None:
    policy = aws(stack.cloud, "s3").get_bucket_policy(Bucket=stack.resources["Bucket"])["Policy"]
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
