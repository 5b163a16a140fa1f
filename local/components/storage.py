"""The bucket, the queues and the secret of a deployment, as `template.yaml` makes them in AWS."""

import json
from dataclasses import dataclass
from typing import Any

from local.components.cloud import REGION, Cloud
from shared.aws.clients import call

# Deliveries before a message goes to the dead-letter queue.
_MAX_RECEIVES = 5

# Seconds. Longer than any local batch; the workers themselves give failed messages back sooner.
_VISIBILITY = 900


@dataclass(frozen=True, kw_only=True)
class QueueUrls:
    """The queues that workers read."""

    ingestion: str
    scraping: str
    rendering: str
    batch: str
    usage: str
    turns: str


class Deployment:
    """Makes what a deployment consists of. Everything is made once: a second call finds it."""

    def __init__(self, cloud: Cloud) -> None:
        import boto3

        # The endpoint is given, not read from the environment: the launcher's own stays as the user set it.
        session = boto3.session.Session("test", "test", region_name=REGION)
        self._s3: Any = session.client("s3", endpoint_url=cloud.endpoint_url)
        self._sqs: Any = session.client("sqs", endpoint_url=cloud.endpoint_url)
        self._secrets: Any = session.client("secretsmanager", endpoint_url=cloud.endpoint_url)

    async def queues(self, prefix: str) -> QueueUrls:
        """Queues named `<prefix>-...`, each with a dead-letter queue after five deliveries."""
        return QueueUrls(
            ingestion=await self._queue(f"{prefix}-ingestion"),
            scraping=await self._queue(f"{prefix}-scraping"),
            rendering=await self._queue(f"{prefix}-rendering"),
            batch=await self._queue(f"{prefix}-batch"),
            usage=await self._queue(f"{prefix}-usage"),
            turns=await self._queue(f"{prefix}-turns"),
        )

    async def bucket(self, name: str) -> None:
        """A bucket that a page in a browser may upload to with a presigned URL."""
        await call(self._s3.create_bucket, Bucket=name)
        rule = {
            "AllowedMethods": ["PUT"],
            "AllowedOrigins": ["*"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
        }
        await call(self._s3.put_bucket_cors, Bucket=name, CORSConfiguration={"CORSRules": [rule]})

    async def notify(self, bucket: str, queue_url: str) -> None:
        """Send an event to the queue for every object made. S3 also sends it one test event now."""
        target = {"QueueArn": await self._arn(queue_url), "Events": ["s3:ObjectCreated:*"]}
        await call(
            self._s3.put_bucket_notification_configuration,
            Bucket=bucket,
            NotificationConfiguration={"QueueConfigurations": [target]},
        )

    async def secret(self, name: str, value: str) -> None:
        """Set a secret's value."""
        try:
            await call(self._secrets.create_secret, Name=name, SecretString=value)
        except self._secrets.exceptions.ResourceExistsException:
            await call(self._secrets.put_secret_value, SecretId=name, SecretString=value)

    async def _queue(self, name: str) -> str:
        dead = await call(self._sqs.create_queue, QueueName=f"{name}-dead")
        redrive = {
            "deadLetterTargetArn": await self._arn(dead["QueueUrl"]),
            "maxReceiveCount": _MAX_RECEIVES,
        }
        attributes = {"VisibilityTimeout": str(_VISIBILITY), "RedrivePolicy": json.dumps(redrive)}
        answer = await call(self._sqs.create_queue, QueueName=name, Attributes=attributes)
        return str(answer["QueueUrl"])

    async def _arn(self, queue_url: str) -> str:
        answer = await call(self._sqs.get_queue_attributes, QueueUrl=queue_url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])
