"""`template.yaml` and the code that it deploys say the same."""

import re
from importlib import import_module
from itertools import chain
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_args

import pytest

from api import routes as api_routes
from shared.aws.clients import Service
from tests.unit.template.runtime import settings_of
from tests.unit.template.template import (
    ROOT,
    Function,
    environment,
    functions,
    resources,
    template,
    transformed,
)

FUNCTIONS = functions()

every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.package)

STREAMING = "/2021-11-15/functions/${ChatFunctionAliaslive}/response-streaming-invocations"
BUFFERED = "/2015-03-31/functions/${ApiFunctionAliaslive}/invocations"


def integrations() -> dict[tuple[str, str], dict[str, Any]]:
    paths = transformed()["Resources"]["Api"]["Properties"]["Body"]["paths"]
    return {
        (method, path): operation["x-amazon-apigateway-integration"]
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


@every_function
def test_variables_are_those_of_the_settings(function: Function) -> None:
    fields = {f"WEIR_{name.upper()}": field for name, field in settings_of(function).model_fields.items()}
    given = {name for name in function.variables if name.startswith("WEIR_")}
    assert given <= set(fields), "the template sets what nobody reads"
    assert {name for name, field in fields.items() if field.is_required()} <= given, "no value for a setting"


@every_function
def test_no_secret_is_in_the_environment(function: Function) -> None:
    for name, value in function.variables.items():
        if re.search("SECRET|PASSWORD|TOKEN|API_KEY", name):
            for choice in choices(value):
                assert choice == "" or str(choice).startswith("{'Fn::Sub': 'secretsmanager:"), name


def choices(value: Any) -> list[Any]:
    """What a value may be, whichever conditions hold."""
    if isinstance(value, dict) and "Fn::If" in value:
        return [choice for branch in value["Fn::If"][1:] for choice in choices(branch)]
    return [value]


def test_the_url_of_valkey_cannot_hold_a_password() -> None:
    pattern = template()["Parameters"]["ValkeyUrl"]["AllowedPattern"]
    assert re.search(pattern, "rediss://cache.example:6379")
    assert not re.search(pattern, "rediss://user:word@cache.example:6379")


@every_function
def test_a_function_ships_its_own_package_and_no_requirements(function: Function) -> None:
    makefile = (ROOT / "functions" / "Makefile").read_text()
    assert f"build-{function.logical_id}: package := {function.package}\n" in makefile
    folder = ROOT / "functions" / function.package
    assert list(folder.rglob("requirements*.txt")) == []
    assert function.layers[0] == "SharedLayer"


def test_the_script_that_starts_chat_can_be_run() -> None:
    script = ROOT / "functions" / "chat" / "run.sh"
    assert script.stat().st_mode & 0o111 == 0o111
    assert b"\r" not in script.read_bytes()


def test_chat_streams_and_the_rest_does_not() -> None:
    for (method, path), integration in integrations().items():
        uri = integration["uri"]["Fn::Sub"]
        if uri.endswith(STREAMING):
            assert integration["responseTransferMode"] == "STREAM"
            continue
        assert uri.endswith(BUFFERED), f"{method} {path} goes to {uri}"
        assert "responseTransferMode" not in integration


def test_every_route_of_the_chat_app_streams() -> None:
    from chat.routes import answers, chat_completions, embeddings, models

    streamed = {key for key, value in integrations().items() if value["uri"]["Fn::Sub"].endswith(STREAMING)}
    routes = chain(*(module.router.routes for module in (answers, chat_completions, embeddings, models)))
    wanted = {(method.lower(), route.path) for route in routes for method in route.methods}
    assert {(method, re.sub(r"\{\w+[^}]*\}", "{}", path)) for method, path in streamed} == {
        (method, re.sub(r"\{\w+[^}]*\}", "{}", path)) for method, path in wanted
    }


def test_the_api_is_reached_with_the_methods_that_it_serves() -> None:
    (api,) = (function for function in FUNCTIONS if function.package == "api")
    routed = {event["Method"] for event in api.events("Api") if event["Path"] == "/{proxy+}"}
    modules = (import_module(f"api.routes.{found.name}") for found in iter_modules(api_routes.__path__))
    routers = [module.router for module in modules if hasattr(module, "router")]
    assert routed == {
        method.lower() for router in routers for route in router.routes for method in route.methods
    }


def test_a_stream_may_last_as_long_as_its_function() -> None:
    (chat,) = (function for function in FUNCTIONS if function.package == "chat")
    (completions,) = (route for route in chat.events("Api") if route["Path"] == "/v1/chat/completions")
    assert completions["TimeoutInMillis"] == chat.properties["Timeout"] * 1000


def test_a_request_ends_before_its_function_is_stopped() -> None:
    """Time-out of Lambda: nothing after it runs, so an answer that is cut off by it would not be billed."""
    bounded = [f for f in FUNCTIONS if "request_seconds" in settings_of(f).model_fields]
    assert "chat" in {function.package for function in bounded}
    for function in bounded:
        usual = settings_of(function).model_fields["request_seconds"].default
        seconds = float(environment(function).get("WEIR_REQUEST_SECONDS", usual))
        # What is left is for the last words: settling, the log and the usage record.
        assert seconds + 5 <= function.properties["Timeout"], function.package


def work_queues() -> dict[str, dict[str, Any]]:
    return {
        name: queue
        for name, queue in resources("AWS::SQS::Queue").items()
        if not name.endswith("DeadLetters")
    }


@pytest.mark.parametrize("name", work_queues())
def test_a_queue_gives_up_to_dead_letters(name: str) -> None:
    redrive = work_queues()[name]["RedrivePolicy"]
    dead_letters = resources("AWS::SQS::Queue")[redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]]
    assert "RedrivePolicy" not in dead_letters
    assert dead_letters["MessageRetentionPeriod"] == 14 * 86400
    assert redrive["maxReceiveCount"] >= 3


def test_a_message_is_hidden_for_six_times_the_timeout_of_its_worker() -> None:
    workers = {function.logical_id: function for function in FUNCTIONS}
    sources = resources("AWS::Lambda::EventSourceMapping").values()
    read = {source["EventSourceArn"]["Fn::GetAtt"][0]: source for source in sources}
    assert set(read) == set(work_queues())
    for name, queue in work_queues().items():
        worker = workers[read[name]["FunctionName"]["Ref"]]
        assert queue["VisibilityTimeout"] >= 6 * worker.properties["Timeout"], name
        assert read[name]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert "ProvisionedPollerConfig" not in read[name], "not together with ScalingConfig"


def test_layers_are_built_for_the_architecture_they_run_on() -> None:
    reference = {"Ref": "Architecture"}
    assert template()["Globals"]["Function"]["Architectures"] == [reference]
    for layer in template()["Resources"].values():
        if layer["Type"] == "AWS::Serverless::LayerVersion":
            assert layer["Metadata"]["BuildArchitecture"] == reference
            assert layer["Metadata"]["ContextPath"] == {"Fn::Sub": "infra/layers/${Architecture}"}
            assert layer["Properties"]["CompatibleArchitectures"] == [reference]


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_each_architecture_has_its_wheels(architecture: str, machine: str) -> None:
    assert architecture in template()["Parameters"]["Architecture"]["AllowedValues"]
    makefile = ROOT / "infra" / "layers" / architecture / "Makefile"
    assert f"MACHINE := {machine}\n" in makefile.read_text()


def test_the_layer_keeps_the_aws_services_that_are_called() -> None:
    kept = re.search(r"^AWS_SERVICES := (.*)$", (ROOT / "shared" / "Makefile").read_text(), re.MULTILINE)
    assert kept is not None
    assert set(get_args(Service)) <= set(kept[1].split())


def test_the_schedule_has_no_name_of_its_own() -> None:
    """A name would be the logical id, and two stacks in one account would collide."""
    (cleanup,) = (function for function in FUNCTIONS if function.package == "cleanup")
    (schedule,) = cleanup.events("ScheduleV2")
    assert schedule["OmitName"] is True
    made = transformed()["Resources"]["CleanupFunctionSchedule"]["Properties"]
    assert "Name" not in made


def test_the_bucket_is_closed_and_its_notifications_are_the_only_ones() -> None:
    (bucket,) = resources("AWS::S3::Bucket").values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (policy,) = resources("AWS::SQS::QueuePolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    source, bucket_name = (
        statement["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"],
        bucket["BucketName"],
    )
    assert source[0] == f"arn:${{AWS::Partition}}:s3:::{bucket_name['Fn::Sub'][0]}"
    assert source[1] == bucket_name["Fn::Sub"][1]


def test_every_trigger_has_an_example_event() -> None:
    expected = {"api-request.json", "chat-request.json", "scheduler-cleanup.json"}
    expected |= {"cloudformation-schema.json"}
    expected |= {"sqs-ingestion-s3.json", "sqs-ingestion-file.json", "sqs-scraping.json", "sqs-usage.json"}
    expected |= {"sqs-batch-advance.json", "sqs-batch-chunk.json", "sqs-turn.json", "sqs-rendering.json"}
    expected |= {f"websocket-{what}.json" for what in ("connect", "message", "disconnect")}
    assert {path.name for path in Path(ROOT, "events").glob("*.json")} == expected


def test_every_parameter_is_explained() -> None:
    explained = re.findall(r"`(\w+)`", (ROOT / "docs" / "deploy.md").read_text())
    assert set(template()["Parameters"]) <= set(explained)
