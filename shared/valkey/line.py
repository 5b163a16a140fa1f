"""Commands of many requests over one connection: each is sent at once, and answers come in their order.

A pool gives every call a connection to itself, which costs three times as much as the call does here; and
under load each command and each answer is a system call, where here those of one moment share one.
"""

import asyncio
from collections import deque
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import RedisError, ResponseError


class _Line:
    """One connection, and who waits for its answers, first come first."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self._some = asyncio.Event()
        self._reader = asyncio.create_task(self._read())
        self._writer = asyncio.create_task(self._write())
        self.open = True

    async def call(self, *command: Any) -> Any:
        """The command's answer. Who stops waiting leaves the line to the others.

        Raises:
            RedisError: What the server says, or that the connection broke before it answered.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        # Both in one step of the event loop: answers come in the order of commands.
        self._waiting.append(answer)
        self._unsent += self._connection.pack_command(*command)
        self._some.set()
        try:
            return await answer
        finally:
            answer.cancel()

    def hang_up(self) -> None:
        """Close the connection; who still waits is told that it broke."""
        self.open = False
        self._reader.cancel()
        self._writer.cancel()

    async def closed(self) -> None:
        """Wait for its end."""
        await asyncio.wait([self._reader, self._writer])

    async def _write(self) -> None:
        """What is said in one moment is sent by one system call, which is most of what a command costs."""
        try:
            while True:
                await self._some.wait()
                self._some.clear()
                unsent, self._unsent = self._unsent, []
                await self._connection.send_packed_command(b"".join(unsent), check_health=False)
        except (RedisError, OSError, RuntimeError):
            # The connection is closed; uvloop says so by a RuntimeError.
            self.hang_up()

    async def _read(self) -> None:
        try:
            while True:
                try:
                    self._give(await self._connection.read_response())
                except ResponseError as error:
                    self._refuse(error)
        except (RedisError, OSError):
            # The line is at its end, and the next command opens another.
            pass
        finally:
            self.open = False
            self._writer.cancel()
            while self._waiting:
                self._refuse(BrokenError("the connection broke before the answer came"))
            await self._connection.disconnect(nowait=True)

    def _give(self, said: Any) -> None:
        answer = self._waiting.popleft()
        if not answer.done():
            answer.set_result(said)

    def _refuse(self, error: RedisError) -> None:
        answer = self._waiting.popleft()
        if not answer.done():
            answer.set_exception(error)


class PipelinedRedis(Redis):
    """redis-py's client, but all commands share a line, save those that block."""

    _line: _Line | None = None
    _opening: asyncio.Lock | None = None

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """As redis-py's."""
        if "BLOCK" in args:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        if self._line is None or not self._line.open:
            await self.open_line()
        assert self._line is not None  # noqa: S101 - opened just now
        answer = await self._line.call(*args)
        read = self.response_callbacks.get(args[0])
        return read(answer, **options) if read else answer

    async def open_line(self) -> None:
        """Open the line, unless it is: with TLS that may take longer than a call may.

        Raises:
            RedisError: No connection.
        """
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if self._line is None or not self._line.open:
                connection = self.connection_pool.make_connection()  # type: ignore[no-untyped-call]
                await connection.connect()
                # Its reader waits while nobody asks; what is sent is sent at once, and not by a task.
                connection.socket_timeout = None
                self._line = _Line(connection)

    def hang_up(self) -> None:
        """Give up a line whose answers are overdue; the next command opens another."""
        if self._line is not None:
            self._line.hang_up()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """As redis-py's."""
        if self._line is not None:
            self._line.hang_up()
            await self._line.closed()
        await super().aclose(close_connection_pool)
