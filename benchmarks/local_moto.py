"""Moto as a process that says where it listens and ends with its parent: ``python -m benchmarks.local_moto``.

In front of it stands a layer that can slow down, break and count requests to S3 (``s3_weather.py``).
"""

from __future__ import annotations

import argparse
import json
import os

from benchmarks.s3_weather import S3Weather
from benchmarks.sagemaker_twin.parent import end_with_parent


def main() -> None:
    """Serve until the parent is gone."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-seconds", type=float, default=0.0, help="added to each request to S3")
    options = parser.parse_args()

    class QuietHandler(MotoRequestHandler):
        """A server for tests keeps no log of requests."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Nothing."""

    weather = S3Weather(DomainDispatcherApplication(create_backend_app), options.latency_seconds)
    server = make_server("127.0.0.1", options.port, weather, threaded=True, request_handler=QuietHandler)
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    end_with_parent(lambda: os._exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
