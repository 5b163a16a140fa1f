"""The template as data: what tests ask of it, without AWS."""

import copy
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[3]

REGION = "eu-central-1"

PARAMETERS = {
    "DatabaseSecretArn": f"arn:aws:secretsmanager:{REGION}:123456789012:secret:weir/database-a1b2c3",
    "OwnerSecretArn": f"arn:aws:secretsmanager:{REGION}:123456789012:secret:weir/owner-d4e5f6",
    "ValkeyUrl": "rediss://valkey.example:6379",
}


@cache
def template() -> dict[str, Any]:
    """`template.yaml`, intrinsic functions in their long form."""
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return parsed


@dataclass(frozen=True)
class Function:
    """One function, with the globals merged in."""

    logical_id: str
    properties: dict[str, Any]
    variables: dict[str, Any]

    @property
    def package(self) -> str:
        """The package that the function ships."""
        return str(self.properties["Handler"]).replace("/", ".").split(".")[0]

    @property
    def layers(self) -> list[str]:
        """Logical ids of the stack's own layers."""
        return [layer["Ref"] for layer in self.properties["Layers"] if "Ref" in layer]

    @property
    def statements(self) -> list[dict[str, Any]]:
        """Its policy, as if every condition held."""
        (policy,) = self.properties["Policies"]
        return [
            statement["Fn::If"][1] if "Fn::If" in statement else statement
            for statement in policy["Statement"]
        ]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Properties of its events of one type."""
        events = self.properties.get("Events", {}).values()
        return [event["Properties"] for event in events if event["Type"] == kind]


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Properties of all resources of one type, by logical id."""
    found = template()["Resources"].items()
    return {name: resource["Properties"] for name, resource in found if resource["Type"] == kind}


def functions() -> list[Function]:
    """Every function of the stack."""
    common = template()["Globals"]["Function"]["Environment"]["Variables"]
    return [
        Function(name, properties, common | properties.get("Environment", {}).get("Variables", {}))
        for name, properties in resources("AWS::Serverless::Function").items()
    ]


def environment(function: Function) -> dict[str, str]:
    """The function's variables as a deployment would set them, in a made-up account."""
    return {name: _resolved(value) for name, value in function.variables.items()}


def _resolved(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    if "Fn::If" in value:
        # By default nothing that a parameter adds is there.
        return _resolved(value["Fn::If"][2])
    if "Ref" in value:
        return _reference(value["Ref"])
    text: str = value["Fn::Sub"]
    for name in [*template()["Parameters"], *template()["Resources"]]:
        text = text.replace(f"${{{name}}}", _reference(name))
    return text


def _reference(name: str) -> str:
    if name in PARAMETERS:
        return PARAMETERS[name]
    if (parameter := template()["Parameters"].get(name)) is not None:
        return str(parameter["Default"])
    if template()["Resources"][name]["Type"] == "AWS::SQS::Queue":
        return f"https://sqs.{REGION}.amazonaws.com/123456789012/{name}"
    return name.lower()


@cache
def transformed(**parameters: str) -> dict[str, Any]:
    """The CloudFormation template that SAM makes of it, with some parameters other than usual."""
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": REGION}):
        translator = Translator(_ManagedPolicies(), Parser())
        values = {name: parameter.get("Default", "") for name, parameter in template()["Parameters"].items()}
        made: dict[str, Any] = translator.translate(_packaged(), values | PARAMETERS | parameters)
    return made


def _packaged() -> dict[str, Any]:
    """As `sam package` would leave it: code and layers in S3."""
    packaged = copy.deepcopy(template())
    packaged["Globals"]["Function"]["CodeUri"] = "s3://bucket/code"
    for resource in packaged["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = "s3://bucket/layer"
    return packaged


class _ManagedPolicies(dict[str, str]):
    """ARNs of AWS's own policies, which SAM otherwise asks IAM for."""

    def __missing__(self, name: str) -> str:
        return f"arn:aws:iam::aws:policy/service-role/{name}"
