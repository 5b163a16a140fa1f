"""What keeps a deployment running: the order of a deploy, alarms, logs, and places for who must not wait."""

from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from chat.snapshot import RESTORED
from tests.unit.template.template import ROOT, Function, functions, resources, template, transformed

FUNCTIONS = functions()
HTTP = ("ChatFunction", "ApiFunction")

every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.package)


def nested(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml_parse((ROOT / "infra" / f"{name}.yaml").read_text())
    return parsed


def alarms() -> dict[str, dict[str, Any]]:
    found = [*template()["Resources"].items(), *nested("operations")["Resources"].items()]
    return {name: one["Properties"] for name, one in found if one["Type"] == "AWS::CloudWatch::Alarm"}


@every_function
def test_new_code_serves_after_its_schema(function: Function) -> None:
    resource = template()["Resources"][function.logical_id]
    assert function.package == "migrations" or resource["DependsOn"] == "Schema"


def test_every_change_of_the_code_migrates() -> None:
    """The layer, which holds the migrations, has a new name whenever its content changes."""
    schema = transformed()["Resources"]["Schema"]["Properties"]
    layer = schema["Code"]["Ref"]
    assert layer != "SharedLayer"
    assert transformed()["Resources"][layer]["Type"] == "AWS::Lambda::LayerVersion"
    (migrations,) = (one for one in FUNCTIONS if one.package == "migrations")
    assert int(schema["ServiceTimeout"]) > migrations.properties["Timeout"]


@pytest.mark.parametrize("name", HTTP)
def test_a_new_version_is_published_whenever_anything_of_it_changes(name: str) -> None:
    function = resources("AWS::Serverless::Function")[name]
    assert function["AutoPublishAlias"] == "live"
    assert function["AutoPublishAliasAllProperties"] is True


@pytest.mark.parametrize("name", HTTP)
def test_a_canary_is_taken_back_by_alarms(name: str) -> None:
    made = transformed(CanaryDeployments="true")["Resources"]
    group = made[f"{name}DeploymentGroup"]["Properties"]
    assert group["AutoRollbackConfiguration"]["Enabled"] is True
    watched = {alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]}
    assert watched == {"ServerErrors", name.replace("Function", "Errors")}
    assert "CodeDeployLambdaAliasUpdate" in made[f"{name}Aliaslive"]["UpdatePolicy"]


def test_without_canaries_there_is_no_code_deploy() -> None:
    kinds = {one["Type"] for one in transformed()["Resources"].values()}
    assert not any(kind.startswith("AWS::CodeDeploy") for kind in kinds)


def test_what_callers_wait_for_starts_from_a_snapshot() -> None:
    """They open nothing before a first request, or before they have come back."""
    snapped = {name for name, one in resources("AWS::Serverless::Function").items() if "SnapStart" in one}
    assert snapped == {*HTTP, "ConnectionsFunction"}
    assert snapped == {
        name for name, one in resources("AWS::Serverless::Function").items() if "AutoPublishAlias" in one
    }
    (chat,) = (one for one in FUNCTIONS if one.package == "chat")
    assert chat.variables["AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH"] == RESTORED


@every_function
def test_logs_end_some_day(function: Function) -> None:
    group = resources("AWS::Logs::LogGroup")[function.properties["LoggingConfig"]["LogGroup"]["Ref"]]
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_every_dead_letter_queue_has_an_alarm() -> None:
    dead = {name for name in resources("AWS::SQS::Queue") if name.endswith("DeadLetters")}
    watched = {
        dimension["Value"]["Ref"]
        for alarm in alarms().values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        for dimension in alarm["Dimensions"]
    }
    assert watched == dead
    given = template()["Resources"]["Operations"]["Properties"]["Parameters"]
    assert {name: given[name] for name in dead} == {
        name: {"Fn::GetAtt": [name, "QueueName"]} for name in dead
    }


@pytest.mark.parametrize("name", alarms())
def test_an_alarm_says_what_is_wrong_and_does_not_ring_in_silence(name: str) -> None:
    alarm = alarms()[name]
    assert alarm["AlarmDescription"].endswith(".")
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"]["Fn::If"][0] == "Told"


def test_the_first_token_is_watched() -> None:
    alarm = alarms()["FirstTokenIsLate"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["ExtendedStatistic"]) == (
        "Weir",
        "FirstToken",
        "p99",
    )
    assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == {
        "service": "gateway",
        "outcome": "completed",
    }


def test_workers_leave_places_for_chat() -> None:
    sources = resources("AWS::Lambda::EventSourceMapping").values()
    assert all(source["ScalingConfig"]["MaximumConcurrency"] for source in sources)
    (api,) = resources("AWS::Serverless::Api").values()
    (settings,) = api["MethodSettings"]
    assert settings["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}
    assert "UsagePlan" not in str(api)


@pytest.mark.parametrize(
    "name", ["operations", "firewall", "rendering", "network", "postgres", "rotation", "valkey"]
)
def test_a_nested_stack_is_given_what_it_needs(name: str) -> None:
    (stack,) = (
        one["Properties"]
        for one in template()["Resources"].values()
        if one["Type"] == "AWS::CloudFormation::Stack"
        and one["Properties"]["TemplateURL"] == f"infra/{name}.yaml"
    )
    declared = nested(name)["Parameters"]
    required = {parameter for parameter, one in declared.items() if "Default" not in one}
    assert required <= set(stack["Parameters"]) <= set(declared)
