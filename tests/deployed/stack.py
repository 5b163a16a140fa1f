"""A deployed stack, as its user sees it."""

import json
import ssl
from dataclasses import dataclass
from typing import Any

import boto3
import openai

from local.components.cloud import REGION, Cloud

ACCOUNT = "000000000000"

_STREAMED = "/response-streaming-invocations"


def aws(cloud: Cloud, service: str, account: str = ACCOUNT) -> Any:
    """A client of one of an account's services that may do everything."""
    return boto3.session.Session(account, "test", region_name=REGION).client(
        service, endpoint_url=cloud.endpoint_url, verify=str(cloud.certificate)
    )


@dataclass(frozen=True)
class Stack:
    """What a deployment has made."""

    cloud: Cloud
    name: str
    outputs: dict[str, str]
    resources: dict[str, str]

    @property
    def base_url(self) -> str:
        """Where the emulator serves what the output `ApiUrl` names: its host names a REST API."""
        api = self.outputs["ApiUrl"].removeprefix("https://").split(".", 1)[0]
        return f"{self.cloud.endpoint_url}/restapis/{api}/prod/_user_request_/v1"

    def sdk(self, api_key: str) -> openai.AsyncOpenAI:
        """The OpenAI SDK, with this stack as its base URL."""
        trusted = ssl.create_default_context(cafile=self.cloud.certificate)
        return openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=api_key,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(verify=trusted),
        )

    def configuration(self, function: str) -> dict[str, Any]:
        """What Lambda knows of a function."""
        found: dict[str, Any] = aws(self.cloud, "lambda").get_function_configuration(
            FunctionName=self.resources[function]
        )
        return found


def find_stack(cloud: Cloud, name: str) -> Stack:
    """Ask CloudFormation what a stack consists of."""
    formation = aws(cloud, "cloudformation")
    (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
    found = formation.describe_stack_resources(StackName=name)["StackResources"]
    return Stack(
        cloud=cloud,
        name=name,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])},
        resources={one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found},
    )


def name_batches(stack: Stack) -> None:
    """Grant `SendMessageBatch` to every role where the template grants `SendMessage`, and nothing else.

    In AWS the second includes the first; the emulator takes them for two:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
    """
    iam = aws(stack.cloud, "iam")
    roles = [name for logical, name in stack.resources.items() if logical.endswith("FunctionRole")]
    for role in roles:
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            for statement in document["Statement"]:
                if statement["Action"] == "sqs:SendMessage":
                    statement["Action"] = ["sqs:SendMessage", "sqs:SendMessageBatch"]
            iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))


def buffer_streams(stack: Stack) -> None:
    """Have the emulator, which knows no streaming integrations, call their functions without streaming."""
    gateway, api = aws(stack.cloud, "apigateway"), stack.resources["Api"]
    for resource in gateway.get_resources(restApiId=api, embed=["methods"], limit=500)["items"]:
        for method, found in resource.get("resourceMethods", {}).items():
            uri = found["methodIntegration"]["uri"]
            if uri.endswith(_STREAMED):
                buffered = uri.replace("2021-11-15", "2015-03-31").replace(_STREAMED, "/invocations")
                gateway.update_integration(
                    restApiId=api,
                    resourceId=resource["id"],
                    httpMethod=method,
                    patchOperations=[{"op": "replace", "path": "/uri", "value": buffered}],
                )
    gateway.create_deployment(restApiId=api, stageName="prod")
