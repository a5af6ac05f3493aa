"""The environment a job gets: what it needs to run, and nothing it could leak or be changed by in secret."""

from __future__ import annotations

from collections.abc import Mapping

from models.settings.fields import Settings

ALLOWED = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER",
        "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV",
        # Devices.
        "CUDA_DEVICE_ORDER", "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_DRIVER_CAPABILITIES",
        # Where tokenizers are cached, and how they are fetched with allow_network.
        "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "XDG_CACHE_HOME",
        "SSL_CERT_DIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
        "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    }
)  # fmt: skip
"""Variables handed on. An allow list: PREFECT_*, AWS_*, tokens and passwords stay with the supervisor."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def job_environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Environment of the process that runs ``settings``.

    Args:
        settings: Settings of any job; they decide the thread budget.
        inherited: Environment of the supervisor.
    """
    environment = {name: value for name, value in inherited.items() if name in ALLOWED or name.startswith("LC_")}
    environment.update(dict.fromkeys(THREAD_VARIABLES, str(thread_budget(settings))))
    environment["TOKENIZERS_PARALLELISM"] = "false"  # jobs fan out by processes of their own
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONFAULTHANDLER"] = "1"  # a segfault leaves its stack in log.txt
    return environment


def thread_budget(settings: Settings) -> int:
    """Threads each process of the job may use; 1 where the job does not say."""
    compute = getattr(settings, "compute", settings)
    return int(getattr(compute, "num_threads", 1))
