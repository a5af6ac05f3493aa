"""Numbers found in what a job prints, by the regular expressions of its request."""

from __future__ import annotations

import math
import re
import threading
import time
from typing import Any

from benchmarks.sagemaker_twin.aws_clients import AwsClients

NAMESPACE = "/aws/sagemaker/TrainingJobs"
MOST_AT_ONCE = 500


class Metrics:
    """Metrics of one job: the last value of each for the API, all of them for CloudWatch.

    Args:
        definitions: MetricDefinitions of the request.
        job_name: Dimension in CloudWatch.
    """

    def __init__(self, definitions: list[dict[str, str]], job_name: str) -> None:
        self._patterns = [(one["Name"], re.compile(one["Regex"])) for one in definitions]
        self._job_name = job_name
        self._lock = threading.Lock()
        self._last: dict[str, dict[str, Any]] = {}
        self._unsent: list[dict[str, Any]] = []

    def read(self, line: str) -> None:
        """Take the numbers of one line of the output."""
        for name, pattern in self._patterns:
            found = pattern.search(line)
            if found is None:
                continue
            try:
                value = float(found.group(1))
            except (ValueError, IndexError):  # a regular expression of the user's that finds no number
                continue
            if not math.isfinite(value):  # CloudWatch takes none either
                continue
            with self._lock:
                self._last[name] = {"MetricName": name, "Value": value, "Timestamp": time.time()}
                self._unsent.append(self._last[name])

    def final(self) -> list[dict[str, Any]]:
        """FinalMetricDataList."""
        with self._lock:
            return list(self._last.values())

    def publish(self, clients: AwsClients) -> None:
        """Send what CloudWatch has not seen."""
        with self._lock:
            unsent, self._unsent = self._unsent, []
        dimensions = [{"Name": "TrainingJobName", "Value": self._job_name}]
        for start in range(0, len(unsent), MOST_AT_ONCE):
            data = [{**datum, "Dimensions": dimensions} for datum in unsent[start : start + MOST_AT_ONCE]]
            clients["cloudwatch"].put_metric_data(Namespace=NAMESPACE, MetricData=data)
