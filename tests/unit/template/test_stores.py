"""Stores: brought along without a VPC, or made by the stack; and what the code makes of their secrets."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from shared.connections import open_database
from shared.postgres.database import Database
from shared.settings import DatabaseSettings
from shared.store_urls import UnusableSecretError, database_url, valkey_url
from tests.unit.template.runtime import settings_of
from tests.unit.template.template import ROOT, environment, functions, resources, template

STORES = ("Network", "Postgres", "Rotation", "Valkey")
OUTPUT_OF = {"Network": "network", "Postgres": "postgres", "Valkey": "valkey"}

LOGIN = {"username": "weir", "password": "p@ss/w%rd", "host": "db.example", "port": 5433, "dbname": "weir"}
URL = "postgresql://weir:p%40ss%2Fw%25rd@db.example:5433/weir?sslmode=require"


def nested(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml_parse((ROOT / "infra" / f"{name}.yaml").read_text())
    return parsed


def attributes(value: Any) -> Iterator[tuple[str, str]]:
    """Every `Fn::GetAtt` below a value."""
    if isinstance(value, dict):
        if isinstance(got := value.get("Fn::GetAtt"), list):
            yield got[0], got[1]
        for one in value.values():
            yield from attributes(one)
    if isinstance(value, list):
        for one in value:
            yield from attributes(one)


def test_by_default_stores_are_brought_along_and_nothing_is_in_a_vpc() -> None:
    assert template()["Parameters"]["Stores"]["Default"] == "bring-your-own"
    made = template()["Resources"]
    assert all(made[name]["Condition"] == "Managed" for name in STORES)
    assert not [one for one in made.values() if one["Type"].startswith(("AWS::EC2", "AWS::RDS"))]
    condition, _, otherwise = template()["Globals"]["Function"]["VpcConfig"]["Fn::If"]
    assert (condition, otherwise) == ("Managed", {"Ref": "AWS::NoValue"})
    assert template()["Conditions"]["Managed"] == {"Fn::Equals": [{"Ref": "Stores"}, "managed"]}


def test_what_is_needed_to_bring_stores_along_is_asked_for() -> None:
    rule = template()["Rules"]["BroughtStores"]
    asked = {one["Assert"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"] for one in rule["Assertions"]}
    assert asked == {"DatabaseSecretArn", "OwnerSecretArn", "ValkeyUrl"}
    assert all(template()["Parameters"][name]["Default"] == "" for name in asked)


def test_outputs_of_nested_stacks_are_there() -> None:
    used = {(stack, name) for stack, name in attributes(template()) if name.startswith("Outputs.")}
    for stack, name in used:
        if stack in OUTPUT_OF:
            assert name.removeprefix("Outputs.") in nested(OUTPUT_OF[stack])["Outputs"], f"{stack}.{name}"
    assert {stack for stack, _ in used} >= set(OUTPUT_OF)


def test_nobody_uses_a_store_that_is_made_only_sometimes() -> None:
    """Outside of a condition a stack of brought-along stores could not be made."""
    for name, resource in template()["Resources"].items():
        if resource.get("Condition") == "Managed":
            continue
        for path in _unconditional(resource.get("Properties", {})):
            assert path[0] not in STORES, name


def _unconditional(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and "Fn::If" not in value:
        yield from attributes({key: one for key, one in value.items() if key == "Fn::GetAtt"})
        for one in value.values():
            yield from _unconditional(one)
    if isinstance(value, list):
        for one in value:
            yield from _unconditional(one)


def test_a_password_rotates_only_once_its_role_is_there() -> None:
    assert template()["Resources"]["Rotation"]["DependsOn"] == "Schema"
    (schedule,) = nested("rotation")["Resources"].values()
    assert schedule["Properties"]["RotateImmediatelyOnUpdate"] is False


def test_removal_leaves_the_data() -> None:
    made = nested("postgres")["Resources"]
    assert {made["Cluster"][kind] for kind in ("DeletionPolicy", "UpdateReplacePolicy")} == {"Snapshot"}
    assert made["Cluster"]["Properties"]["StorageEncrypted"] is True
    assert made["Cluster"]["Properties"]["ServerlessV2ScalingConfiguration"]["MinCapacity"] == 0


def test_only_functions_reach_the_stores() -> None:
    made = nested("network")["Resources"]
    for name in ("PostgresGroup", "ValkeyGroup", "EndpointsGroup"):
        (rule,) = made[name]["Properties"]["SecurityGroupIngress"]
        assert rule["SourceSecurityGroupId"] == {"Ref": "FunctionsGroup"}
    assert "SecurityGroupIngress" not in made["FunctionsGroup"]["Properties"]
    assert all(one["Properties"]["MapPublicIpOnLaunch"] is False for one in subnets())


def subnets() -> list[dict[str, Any]]:
    return [one for one in nested("network")["Resources"].values() if one["Type"] == "AWS::EC2::Subnet"]


def test_without_a_nat_gateway_nothing_leads_out() -> None:
    for name, one in nested("network")["Resources"].items():
        if one["Type"] in ("AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route"):
            assert one["Condition"] == "Open", name


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.package)
def test_every_function_with_valkey_is_told_its_secret(function: Any) -> None:
    uses = "valkey_url" in settings_of(function).model_fields
    for name in ("WEIR_VALKEY_URL", "WEIR_VALKEY_CLUSTER", "WEIR_VALKEY_SECRET"):
        assert (name in function.variables) == uses
    assert environment(function).get("WEIR_VALKEY_SECRET", "") == ""


def test_a_database_that_wakes_is_waited_for_less_long_than_any_request_may_take() -> None:
    seconds = float(
        template()["Globals"]["Function"]["Environment"]["Variables"]["WEIR_DATABASE_CONNECT_SECONDS"][
            "Fn::If"
        ][1]
    )
    assert seconds < min(one["Timeout"] for one in resources("AWS::Serverless::Function").values())


def test_the_secret_that_the_stack_makes_becomes_a_url() -> None:
    generated = nested("postgres")["Resources"]["Login"]["Properties"]["GenerateSecretString"]
    made = generated["SecretStringTemplate"]["Fn::Sub"]
    for attribute, value in {"Address": "db.example", "Port": "5433"}.items():
        made = made.replace(f"${{Cluster.Endpoint.{attribute}}}", value)
    secret = {**json.loads(made), generated["GenerateStringKey"]: LOGIN["password"]}
    assert database_url(json.dumps(secret)) == URL


def test_a_url_stays_what_it_is() -> None:
    assert database_url("postgresql://a:b@c/d") == "postgresql://a:b@c/d"


def test_a_secret_of_rds_is_completed_by_that_of_the_functions() -> None:
    """RDS manages `{"username", "password"}` alone."""
    owner = json.dumps({"username": "owner", "password": "x"})
    assert database_url(owner, like=URL) == "postgresql://owner:x@db.example:5433/weir?sslmode=require"
    with pytest.raises(UnusableSecretError, match="no host"):
        database_url(owner)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ('{"username": "weir", "host": "db.example", "dbname": "weir"}', "password"),
        ('{"username": "weir", "password": ["hunter2"], "host": "h", "dbname": "d"}', "password"),
        ('{"password": "hunter2"', "neither a URL nor JSON"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(secret: str, said: str) -> None:
    with pytest.raises(UnusableSecretError, match=said) as caught:
        database_url(secret)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_password_is_put_into_the_url_of_valkey() -> None:
    assert valkey_url("rediss://cache.example:6379", "a/b@c") == "rediss://:a%2Fb%40c@cache.example:6379"
    whole = "rediss://me:word@other.example:6380"
    assert valkey_url("rediss://cache.example:6379", whole) == whole


async def urls_of(monkeypatch: pytest.MonkeyPatch, first: str, later: str) -> list[str]:
    """What two connections of a pool are made with, when the secret changes between them."""
    monkeypatch.setenv("STORE", first)
    async with open_database(DatabaseSettings(database_secret="env:STORE")) as database:
        urls = [await _next_url(database)]
        monkeypatch.setenv("STORE", later)
        return [*urls, await _next_url(database)]


async def _next_url(database: Database) -> str:
    return await database._pool._resolve_conninfo()


async def test_a_rotated_password_is_found_by_the_next_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    rotated = {**LOGIN, "password": "new"}
    before, after = await urls_of(monkeypatch, json.dumps(LOGIN), json.dumps(rotated))
    assert (before, after) == (URL, "postgresql://weir:new@db.example:5433/weir?sslmode=require")


async def test_a_secret_that_is_a_url_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = await urls_of(monkeypatch, "postgresql://a:b@c/d", "postgresql://a:x@c/d")
    assert before == after == "postgresql://a:b@c/d"
