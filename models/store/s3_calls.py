"""How a call to S3 is tried again: for a bounded time, with growing pauses that are spread by chance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from models.errors import StoreUnavailable
from models.store.s3_errors import is_transient, refusal_or_missing

Answer = TypeVar("Answer")

_LOT = random.SystemRandom()  # not the seeded one: two equal jobs must not pause alike


@dataclass(frozen=True)
class Patience:
    """For how long a call is tried again.

    Args:
        total_seconds: No try begins later than this after the first [s].
        first_pause_seconds: Longest pause after the first try, doubled each time [s].
        longest_pause_seconds: Where doubling ends [s].
    """

    total_seconds: float = 60.0
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 8.0

    def pauses(self) -> Iterator[float]:
        """The pause before each further try [s], until patience ends; by a clock that is never set."""
        started = time.monotonic()
        longest = self.first_pause_seconds
        while True:
            # Full jitter: many jobs that were refused at once must not come back at once. Never nearly nothing.
            pause = _LOT.uniform(0.25, 1.0) * longest
            if time.monotonic() + pause - started > self.total_seconds:
                return
            yield pause
            longest = min(2 * longest, self.longest_pause_seconds)


class S3Calls:
    """Runs calls on one bucket and translates what goes wrong.

    Args:
        bucket: Its name, for messages.
        patience: How long a call is tried again.
    """

    def __init__(self, bucket: str, patience: Patience) -> None:
        self._bucket = bucket
        self._patience = patience

    def run(self, right: str, key: str, call: Callable[[], Answer]) -> Answer:
        """The call's answer.

        Args:
            right: The right it needs, such as s3:PutObject, for messages.
            key: The bucket's key, for messages.
            call: One try; may be repeated.

        Raises:
            ObjectMissing: No such object. Not retried.
            CloudRefused: AWS says no for a reason that stays. Not retried.
            StoreUnavailable: S3 did not answer for as long as patience lasts. Retried.
        """
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        pauses = self._patience.pauses()
        num_tries = 0
        while True:
            num_tries += 1
            try:
                return call()
            except (ClientError, BotoCoreError, ResponseParserError) as error:
                if not is_transient(error):
                    raise refusal_or_missing(error, right=right, bucket=self._bucket, key=key) from error
                pause = next(pauses, None)
                if pause is None:
                    raise StoreUnavailable(
                        f"s3://{self._bucket}/{key}: S3 did not answer ({num_tries} tries in "
                        f"{self._patience.total_seconds:g} s; the last: {error}); what is on this disk is kept, "
                        "start the job again once S3 can be reached"
                    ) from error
                time.sleep(pause)
