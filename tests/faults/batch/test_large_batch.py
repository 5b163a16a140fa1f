"""A large batch: every five seconds a worker is killed, and one call in ten fails.

Prints what it took. `make bench-batch` does it with 50,000 lines.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from openai.types import Batch

from local.components.cloud import Cloud
from local.process import Launcher
from shared.aws.objects import Objects
from tests.integration.api_stack import Api, Member
from tests.integration.batch_processes import Workers, cleaning, worker_environment
from tests.integration.batch_world import Provider, chat_line, jsonl, running_provider

pytest_plugins = ["tests.integration.api_fixtures"]

LINES = int(os.environ.get("WEIR_TEST_BATCH_LINES", "5000"))
DISTINCT = LINES * 4 // 5
AT_ONCE = 16
KILL_EVERY = 5.0

# What each function may use, in megabytes, and how long all may take.
MEGABYTES = 512
SECONDS = 60 + LINES // 20


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as running:
        calls = iter(range(1, 10 * LINES))
        running.whim = lambda question: web.Response(status=503) if next(calls) % 10 == 0 else None
        yield running


@pytest.fixture
async def workers(
    launcher: Launcher,
    local_cloud: Cloud,
    api_environment: dict[str, str],
    provider: Provider,
    tmp_path: Path,
) -> AsyncIterator[Workers]:
    own = {"WEIR_BATCH_LINES_AT_ONCE": str(AT_ONCE)}
    environment = worker_environment(local_cloud.environment, api_environment | own, provider.url, tmp_path)
    running = Workers(launcher, environment, api_environment["WEIR_BATCH_QUEUE_URL"])
    await running.start(2)
    yield running
    await running.stop()


@dataclass
class Progress:
    """Counts as the API showed them, in order."""

    seen: list[int]

    def note(self, batch: Batch) -> None:
        assert batch.request_counts
        self.seen.append(batch.request_counts.completed)


async def uploaded(api: Api, member: Member) -> str:
    """A file of so many lines, put where an upload of it would be."""
    file = await member.sdk.files.create(file=("input.jsonl", b"{}"), purpose="batch")
    lines = (chat_line(f"id-{n}", f"question {n % DISTINCT}") for n in range(LINES))
    stored = await member.sdk.files.retrieve(file.id)
    key = f"{member.tenant_id}/files/{stored.id}/input.jsonl"
    await Objects(api.services.objects.bucket).put(key, jsonl(*lines), "application/jsonl")
    return file.id


async def killing(workers: Workers) -> None:
    while True:
        await asyncio.sleep(KILL_EVERY)
        await workers.kill_one()


async def completed(member: Member, batch: Batch) -> list[int]:
    """The counts that were seen until the batch was completed."""
    progress = Progress([])
    async with asyncio.timeout(SECONDS):
        while batch.status in ("validating", "in_progress", "finalizing"):
            await asyncio.sleep(0.5)
            batch = await member.sdk.batches.retrieve(batch.id)
            progress.note(batch)
    assert (batch.status, batch.error_file_id) == ("completed", None)
    return progress.seen


@pytest.mark.timeout(SECONDS + 120)
async def test_each_of_many_results_is_there_once(
    api: Api, member: Member, workers: Workers, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    batch = await member.sdk.batches.create(
        input_file_id=await uploaded(api, member), endpoint="/v1/chat/completions", completion_window="24h"
    )
    async with (
        cleaning(api.services.database, workers.queue_url, member.tenant_id),
        asyncio.TaskGroup() as group,
    ):
        killer = group.create_task(killing(workers))
        counts = await completed(member, batch)
        killer.cancel()
    took = time.monotonic() - began
    batch = await member.sdk.batches.retrieve(batch.id)
    assert batch.output_file_id
    output = (await member.sdk.files.content(batch.output_file_id)).text.splitlines()
    assert [json.loads(line)["custom_id"] for line in output] == [f"id-{n}" for n in range(LINES)]
    assert counts == sorted(counts)
    lost = provider.asked.total() - provider.failed - DISTINCT
    await workers.stop()
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{LINES:,} lines, {DISTINCT:,} distinct, in {took:.0f} s ({LINES / took:.0f}/s);"
            f" {provider.asked.total():,} calls, {provider.failed:,} of them failed, {lost} lost with"
            f" {workers.kills} killed workers; peak {max(workers.peaks):.0f} MB a process"
        )
    assert 0 <= lost <= workers.kills * AT_ONCE
    assert max(workers.peaks) < MEGABYTES
