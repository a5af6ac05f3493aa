"""What an hour of a training instance costs: asked of AWS where we may, else of a dated table, which says so.

Nothing here forbids a launch: a price that is not known is a value too, told by whoever holds launches to a budget.
There is no Spot price for SageMaker to ask for: what Spot saved is known when a job ends, from its billable seconds.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models.errors import ObjectMissing
from models.store.filesystem import LocalFilesystem, make_folder_durably, write_synced
from tasks.aws.price_table import READ_ON, TRAINING

API_REGION = "us-east-1"
"""The Price List API answers in few regions, about all of them."""
API_SOURCE = "AWS Price List API"
TABLE_REGION = "us-east-1"
"""Of the table, where it does not have the region that is asked for."""
PRICES_FOLDER = "prices"
"""Under the run root: a folder for each day, in it what was asked that day."""

logger = logging.getLogger(__name__)
_asked: dict[tuple[str, str], Rate] = {}
"""What this process was told by the API."""


@dataclass(frozen=True)
class Rate:
    """Price of an hour of one instance, on demand.

    Args:
        usd_per_hour: The price [USD/h]; ``None``: it is in no table, and AWS did not tell it.
        source: Who says so; tells when it is not the Price List API of today.
        as_of: The day of which it is (ISO).
        is_fallback: Whether it comes from the table instead of from AWS; to be announced by whoever uses it.
    """

    usd_per_hour: float | None
    source: str
    as_of: str
    is_fallback: bool = False

    @property
    def counted_usd_per_hour(self) -> float:
        """What sums are made with: nothing where the price is unknown, which is told beside them [USD/h]."""
        return self.usd_per_hour or 0.0

    def __str__(self) -> str:
        price = "price unknown" if self.usd_per_hour is None else f"${self.usd_per_hour:.4f}/h"
        return f"{price}, {self.source}; as of {self.as_of}"


def on_demand_rate(instance_type: str, region: str, pricing: Any = None, *, runs_path: Path | None = None) -> Rate:
    """Price of an hour of ``instance_type`` for training in ``region``.

    In this order: what this process or another one asked today, the Price List API, what was asked on an earlier day
    under this run root, the table of this package for the region, and that for us-east-1. Where the API tells several
    prices the highest is taken. Whatever is not one price that AWS told today says in ``source`` what it is.

    Args:
        instance_type: Such as ``ml.g4dn.xlarge``.
        region: Such as ``us-east-1``.
        pricing: Client of the API, made with region ``us-east-1``; ``None``: it is not asked (no credentials).
        runs_path: The run root, to keep and find answers under; ``None``: they are kept in this process only.
    """
    found = _asked.get((instance_type, region)) or _kept(instance_type, region, runs_path, today=True)
    if found is not None:
        return found
    why = "not asked, without credentials"
    if pricing is not None:
        answer = _ask(instance_type, region, pricing)
        if isinstance(answer, Rate):
            _asked[instance_type, region] = answer
            _keep(instance_type, region, answer, runs_path)
            return answer
        why = answer
    return _kept(instance_type, region, runs_path, today=False) or _of_table(instance_type, region, why)


def open_pricing(session: Any) -> Any:
    """Client of the Price List API.

    Args:
        session: A boto3 session with credentials.
    """
    return session.client("pricing", region_name=API_REGION)


def _ask(instance_type: str, region: str, pricing: Any) -> Rate | str:
    """The price by the API, or why it could not be asked."""
    from botocore.exceptions import BotoCoreError, ClientError

    wanted = {"regionCode": region, "instanceName": instance_type, "component": "Training"}
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    try:
        pages = pricing.get_paginator("get_products").paginate(ServiceCode="AmazonSageMaker", Filters=filters)
        answers = [item for page in pages for item in page["PriceList"]]
    except ClientError as error:
        return f"refused: {error.response['Error'].get('Code', 'unknown error')}"
    except BotoCoreError as error:
        return f"not reached: {type(error).__name__}"
    return _highest(answers, instance_type)


def _highest(answers: list[str], instance_type: str) -> Rate | str:
    """The price that the products of this instance agree in, the highest where they do not, or why there is none."""
    try:
        prices = sorted({price for answer in answers for price in _hourly_prices(json.loads(answer), instance_type)})
    except (ValueError, TypeError, AttributeError) as error:
        return f"answers in a form that this program does not know ({error})"
    if not prices:
        return "has no price of it"
    if len(prices) == 1:
        return Rate(prices[0], API_SOURCE, _today())
    told = ", ".join(f"${price:g}" for price in prices)
    return Rate(
        prices[-1], f"{API_SOURCE}, the highest of the {len(prices)} it tells ({told})", _today(), is_fallback=True
    )


def _hourly_prices(product: Mapping[str, Any], instance_type: str) -> Iterator[float]:
    """Prices of an hour on demand, where this is the instance as training has it; free tiers are no price."""
    attributes = product.get("product", {}).get("attributes", {})
    if attributes.get("component") != "Training" or attributes.get("instanceName") != instance_type:
        return
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            usd = dimension.get("pricePerUnit", {}).get("USD")
            if dimension.get("unit") in ("Hrs", "Hours") and usd is not None and float(usd) > 0:
                yield float(usd)


def _kept(instance_type: str, region: str, runs_path: Path | None, *, today: bool) -> Rate | None:
    """What was asked today under this run root, or else the newest of the days before."""
    if runs_path is None:
        return None
    disk, folder = LocalFilesystem(), runs_path / PRICES_FOLDER
    days = [_today()] if today else reversed(disk.list_names(folder))
    for day in days:
        try:
            found = json.loads(disk.read(folder / day / _file_name(instance_type, region)))
            rate = Rate(
                float(found["usd_per_hour"]),
                str(found.get("source", API_SOURCE)),
                day,
                is_fallback=bool(found.get("is_fallback", False)),
            )
        except ObjectMissing:
            continue
        except (ValueError, KeyError, TypeError):
            logger.warning("%s is damaged; the price is asked for again", folder / day)
            continue
        return rate if today else replace(rate, source=f"{rate.source}, asked on {day}", is_fallback=True)
    return None


def _keep(instance_type: str, region: str, rate: Rate, runs_path: Path | None) -> None:
    if runs_path is None:
        return
    disk, folder = LocalFilesystem(), runs_path / PRICES_FOLDER / rate.as_of
    make_folder_durably(disk, folder)
    content = json.dumps(asdict(rate), indent=1, sort_keys=True).encode()
    temp_folder = folder / f".temp-{os.getpid()}-{threading.get_ident()}"
    write_synced(disk, folder / _file_name(instance_type, region), content, temp_folder=temp_folder)
    disk.remove_tree(temp_folder)


def _of_table(instance_type: str, region: str, why: str) -> Rate:
    """By the table: of the region, else of us-east-1, else unknown."""
    not_asked = f"{API_SOURCE} {why}"
    price = TRAINING.get(region, {}).get(instance_type)
    if price is not None:
        return Rate(
            price.usd_per_hour, f"table of this package ({price.read_in}); {not_asked}", READ_ON, is_fallback=True
        )
    price = TRAINING[TABLE_REGION].get(instance_type)
    if price is None:
        return Rate(None, f"the table of this package does not have it; {not_asked}", READ_ON, is_fallback=True)
    source = f"price of {TABLE_REGION}, as that of {region} is unknown here: table of this package ({price.read_in})"
    return Rate(price.usd_per_hour, f"{source}; {not_asked}", READ_ON, is_fallback=True)


def _file_name(instance_type: str, region: str) -> str:
    return f"{region}_{instance_type}.json"


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())
