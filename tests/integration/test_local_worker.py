"""The worker feeds a function from a real queue as Lambda's event source mapping does."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from local.components.cloud import Cloud
from local.components.storage import QueueUrls
from local.process import ROOT, Child, Launcher, Program
from shared.aws.clients import call, client

# A function that fails the messages which say so, on their first delivery, and notes every record.
_SAMPLE = """
import asyncio, json, os, time

loop = asyncio.new_event_loop()

async def hold():
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.1)
        print("let go", flush=True)

async def hang():
    await asyncio.gather(hold(), asyncio.sleep(60))

def handle(event, context):
    failed = []
    for record in event["Records"]:
        with open(os.environ["NOTES"], "a") as notes:
            notes.write(json.dumps(record) + "\\n")
        body = json.loads(record["body"])
        if body.get("hang") == "loop":
            loop.run_until_complete(hang())
        if body.get("hang") == "thread":
            loop.run_until_complete(asyncio.to_thread(time.sleep, 60))
        if body.get("hang"):
            time.sleep(60)
        if body.get("crash"):
            raise RuntimeError("crash")
        if body.get("fail") and record["attributes"]["ApproximateReceiveCount"] == "1":
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
"""


class Sample:
    """The sample function, its notes and its queue."""

    def __init__(self, directory: Path, launcher: Launcher, cloud: Cloud, queue_url: str) -> None:
        self._notes = directory / "notes.jsonl"
        self._notes.touch()
        (directory / "sample").mkdir()
        (directory / "sample" / "handler.py").write_text(_SAMPLE)
        self._launcher = launcher
        self._cloud = cloud
        self._path = os.pathsep.join([str(directory), str(ROOT)])
        self._queue_url = queue_url

    async def send(self, **body: Any) -> None:
        await call(client("sqs").send_message, QueueUrl=self._queue_url, MessageBody=json.dumps(body))

    async def run(self) -> Child:
        return await self._launcher.start(
            Program(
                name=f"sample-{self._notes.parent.name}",
                argv=[sys.executable, "-m", "local.servers.worker", "sample", self._queue_url],
                environment={
                    **self._cloud.environment,
                    "PYTHONPATH": self._path,
                    "NOTES": str(self._notes),
                },
            )
        )

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._notes.read_text().splitlines()]

    async def left(self) -> tuple[int, int]:
        """Messages that wait, and messages in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = await call(
            client("sqs").get_queue_attributes, QueueUrl=self._queue_url, AttributeNames=names
        )
        waiting, in_flight = (int(answer["Attributes"][name]) for name in names)
        return waiting, in_flight


@pytest.fixture
def sample(tmp_path: Path, launcher: Launcher, local_cloud: Cloud, queues: QueueUrls) -> Sample:
    return Sample(tmp_path, launcher, local_cloud, queues.usage)


async def test_a_failed_message_comes_back_and_the_rest_are_done(sample: Sample) -> None:
    await sample.send(n=1)
    await sample.send(n=2, fail=True)
    child = await sample.run()

    async def done() -> bool:
        return len(sample.records()) == 3 and await sample.left() == (0, 0)

    await child.ready(done)
    await child.stop(grace=5)
    deliveries = [
        (json.loads(record["body"])["n"], record["attributes"]["ApproximateReceiveCount"])
        for record in sample.records()
    ]
    assert sorted(deliveries) == [(1, "1"), (2, "1"), (2, "2")]


async def test_an_exception_fails_the_whole_batch_and_not_the_worker(sample: Sample) -> None:
    await sample.send(crash=True)
    child = await sample.run()

    async def twice() -> bool:
        return len(sample.records()) == 2

    await child.ready(twice)
    await child.stop(grace=5)
    assert "RuntimeError: crash" in child.log.read_text()
    assert sum(await sample.left()) == 1


@pytest.mark.parametrize("where", ["loop", "thread", "handler"])
async def test_a_stopped_worker_gives_back_what_it_cannot_finish(sample: Sample, where: str) -> None:
    await sample.send(hang=where)
    child = await sample.run()

    async def begun() -> bool:
        return len(sample.records()) == 1

    await child.ready(begun)
    await child.stop(grace=10)
    assert "ended with code 0" in await child.ended()
    assert ("let go" in child.log.read_text()) == (where == "loop")
    assert await sample.left() == (1, 0)
