"""The process that streams is killed in mid-answer; whoever reads the answer goes on in another process."""

import asyncio

import pytest

from shared.ledger.records import find_usage
from tests.contract.upstream import StreamReply, Upstream
from tests.faults.accounts import all_booked
from tests.integration.chat_process import (
    CHUNKS,
    PIECES,
    Client,
    last_id,
    read_some,
    whole_events,
)

BROKEN_OFF = StreamReply([b"".join(PIECES[:6]), b": never\n\n"], hold=asyncio.Event())
WHOLE = StreamReply(PIECES)


@pytest.fixture
async def chats(start_chats, upstream: Upstream):
    return await start_chats(upstream.url)


@pytest.fixture
async def clients(chats, session, new_key) -> tuple[Client, Client]:
    """A client of the process that will die, and one of the other."""
    key = await new_key()
    return Client(session, chats[0], key), Client(session, chats[1], key)


@pytest.fixture
def broken_off(chats, clients, valkey_server, tenant_id):
    """Asks for an answer whose process is killed in its middle: its id, and all that came of it."""

    async def ask(**weir) -> tuple[str, bytes]:
        async with clients[0].post("What is a dam?", stream=True, weir=weir) as answer:
            begun, answer_id = await read_some(answer, events=6), answer.headers["x-request-id"]
            if not weir.get("resumable"):
                # Nobody promises that the log has what the client has; some milliseconds later it has.
                await valkey_server.until_logged(tenant_id, answer_id)
            await chats[0].kill()
            return answer_id, begun

    return ask


@pytest.mark.parametrize(
    "weir", [{}, {"resumable": True}, {"cache": {"mode": "off"}, "resumable": True}], ids=str
)
async def test_the_client_resumes_byte_for_byte(clients, upstream, broken_off, weir) -> None:
    dying, other = clients
    upstream.replies = [WHOLE, BROKEN_OFF, WHOLE]
    unbroken = await dying.stream("What is a weir?")
    answer_id, begun = await broken_off(**weir)

    rest = await other.rest(answer_id, begun)

    assert unbroken.count(b"data: ") == len(CHUNKS) + 1
    assert begun + rest == unbroken
    # And once more, from the log: all of it, and a part.
    assert await other.rest(answer_id, b"") == unbroken
    assert await other.rest(answer_id, begun) == rest
    assert len(upstream.requests) == 3


async def test_many_clients_resume_and_the_model_is_asked_once(clients, upstream, broken_off) -> None:
    _, other = clients
    upstream.replies = [BROKEN_OFF, WHOLE]
    answer_id, begun = await broken_off(resumable=True)

    rests = await asyncio.gather(*(other.rest(answer_id, begun) for _ in range(10)))

    assert len(set(rests)) == 1
    assert (begun + rests[0]).count(b"data: ") == len(CHUNKS) + 1
    assert len(upstream.requests) == 2


async def test_who_joined_from_another_process_goes_on_unharmed(chats, clients, upstream) -> None:
    dying, other = clients
    upstream.replies = [WHOLE, BROKEN_OFF, WHOLE]
    unbroken = await dying.stream("What is a weir?")
    async with dying.post("What is a dam?", stream=True) as answer:
        await read_some(answer, events=6)
        async with other.post("What is a dam?", stream=True) as joined:
            begun = await read_some(joined, events=6)
            await chats[0].kill()
            rest = await joined.read()

    assert joined.headers["x-weir-cache"] == "joined"
    assert begun + rest == unbroken
    assert len(upstream.requests) == 3


async def test_one_clean_error_when_the_provider_is_gone_too(clients, upstream, broken_off, provider) -> None:
    _, other = clients
    upstream.replies = [BROKEN_OFF]
    answer_id, begun = await broken_off(resumable=True)
    await provider.aclose()

    rest = await other.rest(answer_id, begun)

    assert last_id(begun) == 6
    assert rest == whole_events(rest)
    assert rest.count(b"data: ") == 1
    assert rest.startswith(b'data: {"error":{')
    assert b"[DONE]" not in rest
    # It stays so: the answer has its end.
    assert await other.rest(answer_id, begun) == rest


async def test_a_resumed_answer_is_billed_once(
    clients, upstream, broken_off, accounting, database, tenant_id
) -> None:
    _, other = clients
    upstream.replies = [BROKEN_OFF, WHOLE]
    answer_id, begun = await broken_off()
    await other.rest(answer_id, begun)

    assert await all_booked(database, tenant_id, [answer_id]) == [answer_id]
    async with database.tenant(tenant_id) as connection:
        usage = await find_usage(connection, answer_id)
    assert (usage.outcome, usage.prompt_tokens, usage.completion_tokens) == ("completed", 13, 12)
