"""A deployed stack, as its user sees it."""

import ssl
from dataclasses import dataclass
from typing import Any

import boto3
import openai

from local.components.cloud import REGION, Cloud

ACCOUNT = "000000000000"


def aws(cloud: Cloud, service: str, account: str = ACCOUNT) -> Any:
    """A client of one of an account's services that may do everything."""
    return boto3.session.Session(account, "test", region_name=REGION).client(
        service, endpoint_url=cloud.endpoint_url, verify=str(cloud.certificate)
    )


@dataclass(frozen=True)
class Stack:
    """What a deployment has made: names of resources by their logical ids, and their types."""

    cloud: Cloud
    name: str
    outputs: dict[str, str]
    resources: dict[str, str]
    kinds: dict[str, str]

    @property
    def base_url(self) -> str:
        """Where the emulator serves what the output `ApiUrl` names: its host names a REST API."""
        api = self.outputs["ApiUrl"].removeprefix("https://").split(".", 1)[0]
        return f"{self.cloud.endpoint_url}/restapis/{api}/prod/_user_request_/v1"

    @property
    def websocket_url(self) -> str:
        """Where the emulator serves what the output `WebSocketUrl` names, in the same way."""
        return self.connections_url.replace("https:", "wss:")

    @property
    def connections_url(self) -> str:
        """Where the emulator serves the API by which functions send to WebSocket clients."""
        return f"{self.cloud.endpoint_url}/_aws/execute-api/{self.resources['WebSocketApi']}/live"

    @property
    def trusted(self) -> ssl.SSLContext:
        """Trusts the emulator's certificate."""
        return ssl.create_default_context(cafile=self.cloud.certificate)

    def of_kind(self, kind: str) -> list[str]:
        """The logical ids of all resources of a type."""
        return [logical for logical, its in self.kinds.items() if its == kind]

    def sdk(self, api_key: str) -> openai.AsyncOpenAI:
        """The OpenAI SDK, with this stack as its base URL."""
        return openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=api_key,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(verify=self.trusted),
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
        kinds={one["LogicalResourceId"]: one["ResourceType"] for one in found},
    )
