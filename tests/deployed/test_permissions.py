"""Every function, with the role that the template gives it, is refused what it should not touch."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.components.cloud import REGION
from tests.deployed.permissions import FUNCTIONS, Call, Function, calls_of
from tests.deployed.sam import ARCHITECTURE
from tests.deployed.stack import ACCOUNT, Stack, aws, find_stack
from tests.unit.template.template import ROOT, resources

# The first test waits for the build and the deployment.
pytestmark = pytest.mark.timeout(600)

# Runs as a function, with a function's role, and says how each of many calls of AWS ends.
PROBE = """
from functools import cache

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

@cache
def client(service, url):
    config = Config(signature_version="s3v4" if service == "s3" else None)
    return boto3.client(service, endpoint_url=url, config=config)

def ending(service, url, method, arguments):
    try:
        getattr(client(service, url), method)(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "Allowed"

def handle(event, context):
    return [ending(*call) for call in event]
"""

REFUSED = {"AccessDenied", "AccessDeniedException", "403"}


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


@pytest.fixture(scope="module")
def whole(stack: Stack, parameters: dict[str, str]) -> Stack:
    """The stack, with the one nested in it that the emulator deploys only by itself."""
    formation = aws(stack.cloud, "cloudformation")
    formation.create_stack(
        StackName="rendering",
        TemplateBody=(ROOT / "infra" / "rendering.yaml").read_text(),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in of_rendering(stack, parameters).items()
        ],
    )
    formation.get_waiter("stack_create_complete").wait(
        StackName="rendering", WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )
    nested = find_stack(stack.cloud, "rendering")
    return replace(
        stack,
        resources=stack.resources | {f"Rendering{name}": its for name, its in nested.resources.items()},
        kinds=stack.kinds | {f"Rendering{name}": its for name, its in nested.kinds.items()},
    )


def of_rendering(stack: Stack, parameters: dict[str, str]) -> dict[str, str]:
    """What the template gives its nested stack."""
    queue = stack.resources["ScrapingQueue"]
    return {
        "ImageUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/rendering:1",
        "Architecture": ARCHITECTURE,
        "DatabaseSecretArn": parameters["DatabaseSecretArn"],
        "DatabaseConnectSeconds": "3",
        "ValkeyUrl": parameters["ValkeyUrl"],
        "ValkeyCluster": "false",
        "ScrapingQueueUrl": queue,
        "ScrapingQueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue.rpartition('/')[2]}",
        "CrawlerUserAgent": "WeirBot/1.0",
        "LogLevel": "INFO",
        "LogRetentionDays": "1",
        "Tracing": "PassThrough",
        **dict.fromkeys(
            (
                "ValkeySecretArn",
                "SubnetIds",
                "GroupId",
                "CrawlerContact",
                "CrawlerPermittedHosts",
                "AlarmTopicArn",
            ),
            "",
        ),
    }


def test_no_function_is_forgotten(whole: Stack) -> None:
    tried = {f"{function}Function" for function in FUNCTIONS}
    assert tried == set(whole.of_kind("AWS::Lambda::Function")), "say in permissions.py what each may do"
    nested = {
        path.stem.capitalize() + name
        for path in (ROOT / "infra").glob("*.yaml")
        for name, its in yaml_parse(path.read_text())["Resources"].items()
        if its["Type"] == "AWS::Serverless::Function"
    }
    assert tried == set(resources("AWS::Serverless::Function")) | nested


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_allows_what_its_function_does_and_no_more(
    whole: Stack, function: Function, others: str, probe_zip: bytes
) -> None:
    calls = calls_of(whole, function, others)
    endings = as_function(whole, function, probe_zip, calls)
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
    event = [(call.service, call.url, call.method, call.arguments) for call in calls]
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
