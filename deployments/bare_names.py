"""A Prefect plugin: deployments by their bare name, ``prefect deployment run phase1``.

Stock Prefect wants ``FLOW/DEPLOYMENT`` and answers anything else with a traceback. With this plugin a name without a
slash is looked up among all deployments: the one of that name is taken; several are listed, and none is said, in one
line. The stock form goes the stock way.

It wraps one method of Prefect's client, found in a private module of 3.8; ``tests/deployments/test_bare_names.py``
runs the real command and guards it. The entry point and the switch are in ``pyproject.toml``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.plugins import register_hook

if TYPE_CHECKING:
    from prefect.client.schemas.responses import DeploymentResponse

MARK = "_resolves_bare_names"
NUM_SHOWN = 20


class DeploymentNameError(ValueError):
    """A bare name fits no deployment, or several."""


@register_hook
def setup_environment(*, ctx: Any) -> None:  # noqa: ARG001  the name is Prefect's
    """Called by Prefect when a command, a worker or a script starts."""
    from prefect.client.orchestration._deployments import client

    _wrap(client.DeploymentClient, _sync_resolver)
    _wrap(client.DeploymentAsyncClient, _async_resolver)


def choose(name: str, matches: list[str], existing: list[str]) -> str:
    """The one deployment that a bare name means.

    Args:
        name: What was typed.
        matches: Deployments of that name, as ``FLOW/DEPLOYMENT``.
        existing: All deployments, for the message.

    Raises:
        DeploymentNameError: none fits, or several do.
    """
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise DeploymentNameError(f"{name!r} is the name of several deployments; say one of: {_listed(matches)}")
    there = f"there are: {_listed(existing)}" if existing else "there are none yet (prefect --no-prompt deploy --all)"
    raise DeploymentNameError(f"no deployment is named {name!r}; {there}")


def _wrap(client_class: type[Any], resolver: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    stock = client_class.read_deployment_by_name
    if not getattr(stock, MARK, False):
        resolving = wraps(stock)(resolver(stock))
        setattr(resolving, MARK, True)
        client_class.read_deployment_by_name = resolving


def _sync_resolver(stock: Callable[..., Any]) -> Callable[..., Any]:
    def read(client: Any, name: str) -> DeploymentResponse:
        if "/" not in name:
            found = client.read_deployments(deployment_filter=_named(name)) or client.read_deployments()
            flows = {d.flow_id: client.read_flow(d.flow_id).name for d in found}
            name = _resolve(name, [(flows[d.flow_id], d.name) for d in found])
        response: DeploymentResponse = stock(client, name)
        return response

    return read


def _async_resolver(stock: Callable[..., Any]) -> Callable[..., Any]:
    async def read(client: Any, name: str) -> DeploymentResponse:
        if "/" not in name:
            found = await client.read_deployments(deployment_filter=_named(name)) or await client.read_deployments()
            flows = {d.flow_id: (await client.read_flow(d.flow_id)).name for d in found}
            name = _resolve(name, [(flows[d.flow_id], d.name) for d in found])
        response: DeploymentResponse = await stock(client, name)
        return response

    return read


def _resolve(name: str, deployments: list[tuple[str, str]]) -> str:
    existing = sorted(f"{flow}/{deployment}" for flow, deployment in deployments)
    matches = sorted(f"{flow}/{deployment}" for flow, deployment in deployments if deployment == name)
    try:
        return choose(name, matches, existing)
    except DeploymentNameError as error:
        if not _is_prefect_command():
            raise
        sys.stderr.write(f"{error}\n")  # a person typed it: a line, not a traceback
        raise SystemExit(1) from None


def _named(name: str) -> DeploymentFilter:
    return DeploymentFilter(name=DeploymentFilterName(any_=[name]))


def _is_prefect_command() -> bool:
    program = Path(sys.argv[0])
    return program.name == "prefect" or program.parts[-2:] == ("prefect", "__main__.py")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NUM_SHOWN]) + (f" and {len(names) - NUM_SHOWN} more" if len(names) > NUM_SHOWN else "")
