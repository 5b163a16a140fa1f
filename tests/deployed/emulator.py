"""Makes up, in a deployed stack, for what the emulator does otherwise than AWS."""

import json

from tests.deployed.stack import Stack, aws

_STREAMED = "/response-streaming-invocations"


def adapt(stack: Stack) -> None:
    """Do all of it, once after a deployment."""
    name_batches(stack)
    buffer_streams(stack)
    serve_websockets(stack)


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


def serve_websockets(stack: Stack) -> None:
    """Have functions find WebSocket clients at the emulator: the template names the host that AWS has."""
    functions = aws(stack.cloud, "lambda")
    for logical in ("ConnectionsFunction", "TurnsFunction"):
        variables = stack.configuration(logical)["Environment"]["Variables"]
        assert variables["WEIR_WEBSOCKET_CALLBACK_URL"] == stack.outputs["WebSocketUrl"].replace(
            "wss:", "https:"
        )
        functions.update_function_configuration(
            FunctionName=stack.resources[logical],
            Environment={"Variables": {**variables, "WEIR_WEBSOCKET_CALLBACK_URL": stack.connections_url}},
        )
    connections = stack.resources["ConnectionsFunction"]
    version = functions.publish_version(FunctionName=connections)["Version"]
    functions.update_alias(FunctionName=connections, Name="live", FunctionVersion=version)
