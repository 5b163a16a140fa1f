"""A stand-in for the Lambda Web Adapter, with nothing but the standard library.

Starts the script that is a function's handler, waits until the server in it is ready, and turns events of the
REST API into requests, by the variables of the real one:
https://github.com/awslabs/aws-lambda-web-adapter#configurations. Buffered, it is the layer of the deployed
function, because the emulator runs no extensions; streaming, it speaks the Lambda Runtime API.
"""

import base64
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

Event = Mapping[str, Any]

# Seconds between two looks whether the server is ready, as the adapter itself does it.
READINESS_INTERVAL = 0.01

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


@dataclass(frozen=True)
class WebApplication:
    """A server that a script has started and that has said that it is ready."""

    process: subprocess.Popen[bytes]
    port: int

    @contextmanager
    def request(self, event: Event) -> Iterator[http.client.HTTPResponse]:
        """Send the request that an event holds; the answer's body is still to be read."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request(event["httpMethod"], _target(event), _body(event), _headers(event))
            yield connection.getresponse()

    def restore(self, path: str) -> int:
        """Tell the server that it has come back from a snapshot; its status."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request("POST", path)
            return connection.getresponse().status

    def stop(self) -> None:
        """End the server."""
        self.process.terminate()
        self.process.wait()


def start(script: Path, variables: Mapping[str, str]) -> WebApplication:
    """Run a handler script, and return when its server is ready.

    Args:
        script: Run as the adapter's `/opt/bootstrap` runs it.
        variables: Its whole environment. The port is made a free one: functions do not share theirs.
    """
    port = _free_port()
    process = subprocess.Popen(
        [script], env={**variables, "AWS_LWA_PORT": str(port)}, preexec_fn=_die_with_parent
    )
    path = variables.get("AWS_LWA_READINESS_CHECK_PATH", "/")
    healthy = {int(status) for status in variables["AWS_LWA_READINESS_CHECK_HEALTHY_STATUS"].split(",")}
    while _status(port, path) not in healthy:
        if process.poll() is not None:
            raise RuntimeError(f"{script} ended with code {process.returncode} before it was ready")
        time.sleep(READINESS_INTERVAL)
    return WebApplication(process, port)


def answer(application: WebApplication, event: Event) -> dict[str, Any]:
    """The whole answer, as a proxy integration takes it: text as it is, other bytes as base64."""
    with application.request(event) as response:
        data, kind = response.read(), response.getheader("content-type", "")
    is_text = kind.startswith(("text/", "application/json"))
    return {
        "statusCode": response.status,
        "multiValueHeaders": _grouped(response),
        "body": data.decode() if is_text else base64.b64encode(data).decode(),
        "isBase64Encoded": not is_text,
    }


def stream(application: WebApplication, event: Event) -> Iterator[bytes]:
    """The answer as the streaming integration takes it: a prelude of JSON, eight zero bytes, then the body.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
    """
    with application.request(event) as response:
        prelude = {"statusCode": response.status, "multiValueHeaders": _grouped(response)}
        yield json.dumps(prelude).encode() + bytes(8)
        while piece := response.read1(65_536):
            yield piece


def _target(event: Event) -> str:
    query = urlencode(event.get("multiValueQueryStringParameters") or {}, doseq=True)
    return f"{event['path']}?{query}" if query else str(event["path"])


def _body(event: Event) -> bytes | None:
    text = event.get("body")
    if text is None:
        return None
    return base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()


def _headers(event: Event) -> dict[str, str]:
    given = {name: ", ".join(values) for name, values in (event.get("multiValueHeaders") or {}).items()}
    hop_by_hop = {"host", "content-length", "connection", "transfer-encoding"}
    kept = {name: value for name, value in given.items() if name.lower() not in hop_by_hop}
    return {**kept, "x-amzn-request-context": json.dumps(event["requestContext"])}


def _grouped(response: http.client.HTTPResponse) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in response.getheaders():
        if name.lower() not in ("transfer-encoding", "connection", "content-length", "date"):
            grouped.setdefault(name, []).append(value)
    return grouped


def _status(port: int, path: str) -> int | None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """The server of a function that is shut down goes with it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def of_function(handler: str) -> WebApplication:
    """Start the script of this process's own function, as the layer does it in a sandbox of the emulator."""
    code = Path(os.environ["LAMBDA_TASK_ROOT"])
    # Code is unpacked without its modes here; that the script can be run is another test's matter.
    (code / handler).chmod(0o755)
    layers = [f"{layer}/python" for layer in os.environ["_LAMBDA_LAYERS_DIRS"].split(os.pathsep)]
    runtime = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return start(code / handler, {**os.environ, "PYTHONPATH": os.pathsep.join(layers[:-1]), "PATH": runtime})
