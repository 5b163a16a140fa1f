"""A provider that answers at once: `python -m bench.upstream PORT`. Runs in a process of its own.

`python -m bench.upstream PORT SECONDS` answers after so many seconds.
"""

import asyncio
import sys

EVENTS = 64

_CHUNK = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1792000000,"model":"bench",'
    b'"choices":[{"index":0,"delta":{%s},"finish_reason":%s}],"usage":null}\n\n'
)
_USAGE = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1792000000,"model":"bench",'
    b'"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":64,"total_tokens":73}}\n\n'
)
_WHOLE = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1792000000,"model":"bench","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"A weir is a low dam."},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16}}'
)


class _Provider(asyncio.Protocol):
    """Reads requests with a Content-Length; answers a stream when the body asks for one.

    To a request without a body it says how many others there were.
    """

    calls = 0
    pause = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (whole := self._take_request()) is not None:
            self._send(_answer(whole))

    def _send(self, answer: bytes) -> None:
        if not _Provider.pause:
            self._transport.write(answer)  # type: ignore[attr-defined]
            return
        asyncio.get_running_loop().call_later(_Provider.pause, self._transport.write, answer)  # type: ignore[attr-defined]

    def _take_request(self) -> bytes | None:
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            return None
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if len(rest) < length:
            return None
        self._received = rest[length:]
        return rest[:length]


def _answer(body: bytes) -> bytes:
    if not body:
        return _buffered(b"%d" % _Provider.calls)
    _Provider.calls += 1
    # Gateways encode the body anew, some with spaces.
    return _stream() if b'"stream":true' in body.replace(b" ", b"") else _buffered(_WHOLE)


def _buffered(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def _stream() -> bytes:
    events = [_CHUNK % (b'"content":" word"', b"null")] * (EVENTS - 2)
    events += [_CHUNK % (b"", b'"stop"'), _USAGE, b"data: [DONE]\n\n"]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + chunks + b"0\r\n\r\n"


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Provider, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    _Provider.pause = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    asyncio.run(_serve(int(sys.argv[1])))
