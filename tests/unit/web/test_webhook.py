"""The signature of a webhook, as OpenAI's SDK checks it."""

from datetime import UTC, datetime

import openai
import pytest

from shared.web.webhook import Report, headers, new_secret

SECRET = new_secret()
REPORT = Report(
    url="https://example.com/hook", secret=SECRET, event_id="evt_1", body=b'{"type": "scrape.completed"}'
)


def test_the_sdk_takes_it_and_no_other() -> None:
    client = openai.OpenAI(api_key="none")
    sent = headers(REPORT, datetime.now(UTC))
    client.webhooks.verify_signature(REPORT.body, sent, secret=SECRET)
    for body, secret in ((REPORT.body + b" ", SECRET), (REPORT.body, new_secret())):
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.verify_signature(body, sent, secret=secret)
    old = headers(REPORT, datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.verify_signature(REPORT.body, old, secret=SECRET)
