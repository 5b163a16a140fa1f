"""Work that no caller waits for."""

import asyncio
import logging

import pytest

from shared.completion.background import Background


@pytest.mark.parametrize("freezes", [True, False])
async def test_where_the_process_freezes_work_is_done_before_the_answer_ends(freezes: bool) -> None:
    background, done = Background(freezes=freezes), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    await background.afterwards(work())
    assert done.is_set() == freezes
    await done.wait()
    await background.close()


async def test_what_fails_in_it_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ValueError("no")

    with caplog.at_level(logging.ERROR):
        await Background(freezes=True).afterwards(fails())
    assert "no" in caplog.text
