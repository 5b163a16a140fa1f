"""Killed workers, repeated messages, a provider that fails a tenth of calls: each result is there once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from local.components.cloud import Cloud
from local.process import Launcher
from shared.aws.queues import Queue
from shared.batch.messages import WorkChunk
from tests.integration.api_stack import Api, Member
from tests.integration.batch_processes import Workers, cleaning, worker_environment
from tests.integration.batch_world import Provider, chat_line, jsonl, running_provider

pytest_plugins = ["tests.integration.api_fixtures"]

LINES, DISTINCT, CHUNK, AT_ONCE = 400, 300, 10, 8


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with running_provider() as running:
        calls = iter(range(1, 1_000_000))
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
    own = {"WEIR_BATCH_CHUNK_LINES": str(CHUNK), "WEIR_BATCH_LINES_AT_ONCE": str(AT_ONCE)}
    environment = worker_environment(local_cloud.environment, api_environment | own, provider.url, tmp_path)
    running = Workers(launcher, environment, api_environment["WEIR_BATCH_QUEUE_URL"])
    await running.start(2)
    yield running
    await running.stop()


async def test_each_result_is_there_once(
    api: Api, member: Member, workers: Workers, provider: Provider
) -> None:
    lines = [chat_line(f"id-{n}", f"question {n % DISTINCT}") for n in range(LINES)]
    file = await member.sdk.files.create(file=("input.jsonl", jsonl(*lines)), purpose="batch")
    batch = await member.sdk.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    async with cleaning(api.services.database, workers.queue_url, member.tenant_id):
        for calls in (60, 140, 220):
            await provider.until_asked(calls)
            await workers.kill_one()
            again = [
                WorkChunk(tenant_id=member.tenant_id, batch_id=batch.id, chunk_number=number)
                for number in range(1, LINES // CHUNK + 1, 4)
            ]
            await Queue(workers.queue_url).send(again)
        async with asyncio.timeout(60):
            while batch.status != "completed":
                await asyncio.sleep(0.1)
                batch = await member.sdk.batches.retrieve(batch.id)
    assert batch.error_file_id is None
    assert batch.output_file_id
    output = (await member.sdk.files.content(batch.output_file_id)).text.splitlines()
    assert [json.loads(line)["custom_id"] for line in output] == [f"id-{n}" for n in range(LINES)]
    # Besides the calls that failed only those are made again which a worker died over.
    assert 0 <= provider.asked.total() - provider.failed - DISTINCT <= workers.kills * AT_ONCE
    assert provider.failed
