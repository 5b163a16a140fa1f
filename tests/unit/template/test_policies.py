"""Each function may do what its work needs, and nothing else."""

from typing import Any

import pytest

from tests.unit.template.template import Function, functions, resources, transformed

FUNCTIONS = functions()

every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.package)


def allowed(function: Function, action: str) -> list[Any]:
    """The resources on which a function may do this."""
    found: list[Any] = []
    for statement in function.statements:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if action in actions:
            resource = statement["Resource"]
            found += resource if isinstance(resource, list) else [resource]
    return found


def queues(function: Function, action: str) -> set[str]:
    return {resource["Fn::GetAtt"][0] for resource in allowed(function, action)}


@every_function
def test_nothing_is_granted_by_wildcard(function: Function) -> None:
    for statement in function.statements:
        assert statement["Effect"] == "Allow"
        assert "*" not in str(statement["Action"])
        assert statement["Resource"] not in ("*", ["*"])


@every_function
def test_aws_adds_logs_and_traces_alone(function: Function) -> None:
    role = transformed()["Resources"][f"{function.logical_id}Role"]["Properties"]
    managed = {str(arn).rsplit("/", 1)[-1] for arn in role["ManagedPolicyArns"]}
    # The last is SAM's for whatever may be in a VPC; the next test is about it.
    assert managed <= {
        "AWSLambdaBasicExecutionRole",
        "AWSXrayWriteOnlyAccess",
        "AWSLambdaVPCAccessExecutionRole",
    }


def test_network_interfaces_are_for_lambda_and_no_function() -> None:
    (policy,) = resources("AWS::IAM::ManagedPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert {"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"} <= set(statement["Action"])
    # Requests of the code carry it, those that Lambda makes for the code do not.
    assert "lambda:SourceFunctionArn" in statement["Condition"]["ArnLike"]
    assert {role["Ref"] for role in policy["Roles"]} == {f"{one.logical_id}Role" for one in FUNCTIONS}


@every_function
def test_a_function_sends_to_the_queues_it_knows(function: Function) -> None:
    given = {name: value for name, value in function.variables.items() if name.endswith("_QUEUE_URL")}
    # A queue of a nested stack is known by the stack, where there is one.
    known = {
        value["Ref"] if "Ref" in value else value["Fn::If"][1]["Fn::GetAtt"][0] for value in given.values()
    }
    sends = queues(function, "sqs:SendMessage")
    assert sends <= known <= sends | queues(function, "sqs:ChangeMessageVisibility")


@every_function
def test_a_worker_receives_from_its_own_queue(function: Function) -> None:
    own = {"ingestion": "IngestionQueue", "scraping": "ScrapingQueue", "accounting": "UsageQueue"}
    own |= {"turns": "TurnsQueue", "batch": "BatchQueue"}
    expected = {own[function.package]} if function.package in own else set()
    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
        assert queues(function, action) == expected


@every_function
def test_objects_are_reached_by_kind_and_only_with_the_bucket_known(function: Function) -> None:
    reached = [
        resource["Fn::Sub"]
        for action in ("s3:PutObject", "s3:DeleteObject")
        for resource in allowed(function, action)
    ]
    assert set(reached) <= {"${Bucket.Arn}/*/files/*", "${Bucket.Arn}/*/texts/*"}
    assert bool(reached) == ("WEIR_BUCKET" in function.variables)


@every_function
def test_only_who_calls_providers_reads_their_keys(function: Function) -> None:
    reads = {str(resource) for resource in allowed(function, "secretsmanager:GetSecretValue")}
    assert any("{'Ref': 'DatabaseSecretArn'}" in secret for secret in reads)
    assert any("{'Ref': 'ValkeySecretArn'}" in secret for secret in reads) == (
        "WEIR_VALKEY_SECRET" in function.variables
    )
    assert any("{'Ref': 'ReaderSecretArn'}" in secret for secret in reads) == (
        "WEIR_DATABASE_READER_SECRET" in function.variables
    )
    assert any("{'Ref': 'OwnerSecretArn'}" in secret for secret in reads) == (
        function.package == "migrations"
    )
    assert any("${ProviderSecretPrefix}*" in secret for secret in reads) == (
        "WEIR_PROVIDER_SECRETS" in function.variables
    )
