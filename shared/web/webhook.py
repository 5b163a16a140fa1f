"""Tells a user's webhook that a scrape has ended, signed as OpenAI's webhooks are.

The signature is that of https://www.standardwebhooks.com: base64 of HMAC-SHA256 over `id.timestamp.body` with
the secret behind `whsec_`. OpenAI's SDK checks it: `webhooks.verify_signature(body, headers, secret=...)`.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.web.connection import open_session
from shared.web.scrape_models import Scrape
from shared.web.urls import host_and_port

_PREFIX = "whsec_"
_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is sent, and where to. The receiver knows by `event_id` what it has had already."""

    url: str
    secret: str
    event_id: str
    body: bytes


def new_secret() -> str:
    """A secret to sign with."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def report(scrape: Scrape, secret: str) -> Report:
    """The event that a scrape has ended: `scrape.completed`, `scrape.failed` or `scrape.cancelled`."""
    counts = scrape.page_counts
    event: dict[str, Any] = {
        "id": f"evt_{scrape.scrape_id}",
        "object": "event",
        "type": f"scrape.{scrape.status}",
        "created_at": int(scrape.updated_at.timestamp()),
        "data": {
            "id": scrape.scrape_id,
            "schedule_id": scrape.schedule_id,
            "url": scrape.start_url,
            "status": scrape.status,
            "error": scrape.error_message,
            "page_counts": {
                "completed": counts.completed,
                "skipped": counts.skipped,
                "failed": counts.failed,
                "total": counts.total,
            },
        },
    }
    url = scrape.rules.webhook_url or ""
    return Report(url=url, secret=secret, event_id=event["id"], body=json.dumps(event).encode())


def headers(report: Report, now: datetime) -> dict[str, str]:
    """The headers that the receiver checks."""
    timestamp = str(int(now.timestamp()))
    signed = f"{report.event_id}.{timestamp}.".encode() + report.body
    key = base64.b64decode(report.secret.removeprefix(_PREFIX))
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": report.event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{digest}",
    }


async def deliver(
    report: Report, now: datetime, *, user_agent: str, permitted_hosts: Collection[str] = ()
) -> int | None:
    """Send a report once; over checked connections, to no private address, without redirects.

    Returns:
        The status of the answer, whose body is not read; `None` when there was none.
    """
    import aiohttp

    permitted = host_and_port(report.url) in permitted_hosts
    async with open_session(permitted=permitted, user_agent=user_agent) as session:
        try:
            async with session.post(
                report.url,
                data=report.body,
                headers=headers(report, now),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=_SECONDS),
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return None
