"""E-mail (RFC 5322, MIME): who wrote what to whom, and the names of what is attached."""

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Final, cast

from shared.documents.charset import decode
from shared.documents.cleaning import clean, clean_line
from shared.documents.document import Content, Part, invalid

_HEADERS: Final = ("From", "To", "Cc", "Date")
# Messages within messages are read so deep.
_DEPTH: Final = 5
_HEADER_CHARACTERS: Final = 1_000
_MEGABYTE: Final = 2**20


def read_email(data: bytes) -> Content:
    """Read a message: its subject as heading, sender, receivers and date, its text, attachments by name, and
    forwarded messages after it.

    The plain text is taken where there is one, else the HTML. Attachments are not read: upload them as files.
    """
    try:
        return _read(data)
    # The parser is meant to take anything, and fails on some headers in many ways.
    except (
        AttributeError,
        IndexError,
        KeyError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise invalid("The e-mail is damaged. Export it again.") from error


def _read(data: bytes) -> Content:
    message = email.message_from_bytes(data, policy=email.policy.default)
    subject = _header(message, "Subject")
    if not subject and not _header(message, "From"):
        raise invalid("The file is no e-mail: it has no sender and no subject.")
    return Content(parts=list(_message(message, level=1)), title=subject or None)


def _message(message: EmailMessage, *, level: int) -> Iterator[Part]:
    yield Part(
        kind="heading", text=f"{'#' * level} {_header(message, 'Subject') or 'No subject'}", level=level
    )
    fields = [(name, _header(message, name)) for name in _HEADERS]
    yield Part(kind="paragraph", text="\n".join(f"{name}: {text}" for name, text in fields if text))
    body = message.get_body(("plain", "html"))
    if body is not None:
        yield from _body(cast(EmailMessage, body))
    attachments = [part for part in _leaves(message) if part is not body and part.get_filename()]
    if attachments:
        names = "\n".join(f"- {_described(part)}" for part in attachments)
        yield Part(kind="list", text=f"Attachments:\n{names}")
    if level < _DEPTH:
        for inner in _forwarded(message):
            yield from _message(inner, level=level + 1)


def _body(part: EmailMessage) -> Iterator[Part]:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    label = f"text/plain; charset={part.get_content_charset('')}"
    if part.get_content_subtype() == "html":
        from shared.documents.html import html_fragment

        yield from html_fragment(decode(data, media_type=label, html=True))
        return
    for paragraph in clean(decode(data, media_type=label)).split("\n\n"):
        yield Part(kind="paragraph", text=paragraph)


def _leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """Everything in the message that is no container, without going into forwarded messages."""
    if not message.is_multipart():
        yield message
    elif message.get_content_maintype() == "multipart":
        for part in message.iter_parts():
            yield from _leaves(cast(EmailMessage, part))


def _forwarded(message: EmailMessage) -> Iterator[EmailMessage]:
    if message.get_content_maintype() != "multipart":
        return
    for part in message.iter_parts():
        if part.get_content_type() == "message/rfc822":
            yield from cast(list[EmailMessage], part.get_payload())
        else:
            yield from _forwarded(cast(EmailMessage, part))


def _described(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    size = len(payload) if isinstance(payload, bytes) else 0
    amount = f"{size / _MEGABYTE:.1f} MB" if size >= _MEGABYTE else f"{max(1, size // 1024):,} KB"
    return f"{clean_line(part.get_filename() or '')} ({part.get_content_type()}, {amount})"


def _header(message: EmailMessage, name: str) -> str:
    return clean_line(str(message.get(name, "")))[:_HEADER_CHARACTERS]
