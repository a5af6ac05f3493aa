"""Start the twin: ``python -m benchmarks.sagemaker_twin --port 0 --folder DIR --s3 URL --proxy URL``.

Prints one JSON line with its address and how jobs are set apart, once it listens. Ends, with all of its jobs, on
SIGTERM and when its parent is gone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from benchmarks.sagemaker_twin.aws_clients import AwsClients
from benchmarks.sagemaker_twin.faults import FaultBoard
from benchmarks.sagemaker_twin.http_server import CREDENTIALS_PATH, TwinServer
from benchmarks.sagemaker_twin.lifecycle import Surroundings
from benchmarks.sagemaker_twin.namespaces import Isolation, best_isolation
from benchmarks.sagemaker_twin.operations import TrainingApi
from benchmarks.sagemaker_twin.options import TwinOptions
from benchmarks.sagemaker_twin.parent import end_with_parent
from benchmarks.sagemaker_twin.validation import service_model

WARNING = (
    "the SageMaker twin cannot make namespaces here (unshare): jobs run as plain children, not as process 1; /opt/ml "
    "in their arguments, environment and JSON inputs is replaced by a folder; network isolation is not enforced"
)


def main() -> None:
    """Serve until told to end."""
    arguments = _arguments()
    options = TwinOptions(
        starting_seconds=arguments.starting_seconds,
        sync_seconds=arguments.sync_seconds,
        stop_seconds=arguments.stop_seconds,
        spot_discount=arguments.spot_discount,
        namespaces=not arguments.no_namespaces,
    )
    isolation = best_isolation() if options.namespaces else Isolation.NONE
    if isolation is Isolation.NONE:
        print(f"warning: {WARNING}", file=sys.stderr)
    server = TwinServer(arguments.port, arguments.proxy)
    server.faults = FaultBoard()
    clients = AwsClients(arguments.s3, arguments.proxy, arguments.region)
    container_aws = {
        "AWS_ENDPOINT_URL": arguments.s3,
        "AWS_ENDPOINT_URL_SAGEMAKER": server.url,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + CREDENTIALS_PATH,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    server.api = TrainingApi(Surroundings(clients, folder, options, isolation, container_aws, server.faults))

    def end() -> None:
        server.api.end_now()
        os._exit(0)

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end).start())
    end_with_parent(end)
    service_model()  # a quarter of a second that the first request need not wait
    print(json.dumps({"url": server.url, "isolation": isolation.value}), flush=True)
    server.serve_forever()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sagemaker_twin", description=__doc__)
    defaults = TwinOptions()
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--folder", type=Path, required=True, help="disks of the jobs")
    parser.add_argument("--s3", required=True, metavar="URL", help="endpoint of S3")
    parser.add_argument("--proxy", required=True, metavar="URL", help="moto, which answers everything else")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--starting-seconds", type=float, default=defaults.starting_seconds)
    parser.add_argument("--sync-seconds", type=float, default=defaults.sync_seconds)
    parser.add_argument("--stop-seconds", type=float, default=defaults.stop_seconds)
    parser.add_argument("--spot-discount", type=float, default=defaults.spot_discount)
    parser.add_argument("--no-namespaces", action="store_true", help="run jobs as plain children")
    return parser.parse_args()


if __name__ == "__main__":
    main()
