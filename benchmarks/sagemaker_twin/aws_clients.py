"""Clients of moto, where the twin keeps what is not a training job."""

from __future__ import annotations

from functools import cache
from typing import Any

from benchmarks.s3_weather import EXEMPT_ACCESS_KEY


class AwsClients:
    """boto3 clients, made when they are first needed, shared by all threads.

    Args:
        s3_url: Endpoint of S3.
        other_url: Endpoint of all other services.
        region: Region of the jobs.
    """

    def __init__(self, s3_url: str, other_url: str, region: str) -> None:
        self.region = region
        self._urls = {"s3": s3_url}
        self._other_url = other_url
        self._made = cache(self._make)

    def __getitem__(self, service: str) -> Any:
        return self._made(service)

    def _make(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        # A session of its own: the default one is not safe to use from several threads.
        return boto3.session.Session().client(
            service,
            region_name=self.region,
            endpoint_url=self._urls.get(service, self._other_url),
            aws_access_key_id=EXEMPT_ACCESS_KEY,
            aws_secret_access_key=EXEMPT_ACCESS_KEY,
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=50, retries={"max_attempts": 3}),
        )
