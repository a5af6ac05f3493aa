"""The calls on training jobs, with the answers that mean something told apart from errors.

A job carries the token of the launch that asked for it in a tag, so that whoever got no answer, or was killed before it
came, can tell its own job from that of another supervisor.
"""

from __future__ import annotations

import contextlib
import re
import time
from enum import Enum
from typing import Any

from models.errors import CloudRefused, CodewardenError, StoreUnavailable
from models.store.s3_calls import Patience
from tasks.aws.refusals import DENIED, aws_errors
from tasks.aws.request import LAUNCH_TAG

_QUOTA = re.compile(r"is (\d+) Instances?, with current utilization of \d+ Instances? and a request delta of (\d+)")


class Answer(Enum):
    """What became of a request for a job."""

    CREATED = "created"
    TAKEN = "taken"
    """A job of this name exists: ours, or that of another supervisor."""
    NO_ROOM = "no room"
    """The account's quota is used up by other jobs for now."""


class TrainingApi:
    """Training jobs of one account and region.

    Every method raises ``CloudRefused`` (not retried) and ``StoreUnavailable`` (retried) as ``aws_errors`` says.

    Args:
        client: A boto3 client of SageMaker.
        one_try: Another that makes each call once: whether an earlier try got no answer must be known here.
        patience: How long a job is asked for where AWS does not answer.
    """

    def __init__(self, client: Any, one_try: Any, patience: Patience | None = None) -> None:
        self._client = client
        self._one_try = one_try
        self._patience = patience if patience is not None else Patience()

    def create(self, request: dict[str, Any], launch: str) -> Answer:
        """Ask for a job; asking again for one that exists changes nothing.

        A job that an earlier try made without our hearing of it is ``CREATED`` too.

        Args:
            request: As ``training_job_request`` makes it.
            launch: The token in it.
        """
        name, pauses, is_unclear = request["TrainingJobName"], self._patience.pauses(), False
        while True:
            try:
                answer = self._create_once(request)
            except StoreUnavailable:
                pause = next(pauses, None)
                if pause is None:
                    raise
                is_unclear = True
                time.sleep(pause)
            else:
                is_own = answer is Answer.TAKEN and is_unclear and self.is_of_launch(name, launch)
                return Answer.CREATED if is_own else answer

    def _create_once(self, request: dict[str, Any]) -> Answer:
        from botocore.exceptions import ClientError

        resources = request["ResourceConfig"]
        what = f"a training job on {resources['InstanceCount']} × {resources['InstanceType']}"
        with aws_errors(what):
            try:
                self._one_try.create_training_job(**request)
            except ClientError as error:
                code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
                if code == "ResourceInUse":
                    return Answer.TAKEN
                quota = _QUOTA.search(message) if code == "ResourceLimitExceeded" else None
                if quota is not None and int(quota[1]) >= int(quota[2]):
                    return Answer.NO_ROOM
                raise
        return Answer.CREATED

    def describe(self, name: str) -> dict[str, Any]:
        """What SageMaker says of a job."""
        with aws_errors(f"training job {name}"):
            answer: dict[str, Any] = self._client.describe_training_job(TrainingJobName=name)
        return answer

    def exists(self, name: str) -> bool:
        """Whether there is, or was, a job of this name."""
        try:
            self.describe(name)
        except CloudRefused as error:
            if error.code not in ("ValidationException", "ResourceNotFound"):  # the first is what it says of no job
                raise
            return False
        return True

    def is_of_launch(self, name: str, launch: str) -> bool:
        """Whether an existing job was asked for by this launch; one whose tags we may not read is taken to be."""
        arn = self.describe(name)["TrainingJobArn"]
        try:
            with aws_errors(f"tags of training job {name} (sagemaker:ListTags)"):
                pages = self._client.get_paginator("list_tags").paginate(ResourceArn=arn)
                tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
        except CloudRefused as error:
            if error.code not in DENIED:
                raise
            return True
        return tags.get(LAUNCH_TAG) == launch

    def abandon(self, name: str, launch: str) -> None:
        """Stop the job of a launch that is being ended, as far as AWS answers; none of another launch."""
        with contextlib.suppress(CodewardenError):
            if self.exists(name) and self.is_of_launch(name, launch):
                self.stop(name)

    def stop(self, name: str) -> None:
        """Ask a job to leave; nothing happens where it has ended."""
        from botocore.exceptions import ClientError

        with aws_errors(f"stopping training job {name}"):
            try:
                self._client.stop_training_job(TrainingJobName=name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ValidationException":  # so it says of a job that has ended
                    raise
