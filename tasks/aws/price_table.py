"""Prices to fall back on where the Price List API cannot be asked: each with where it was read and when.

No price here was asked of AWS by this project. All are list prices [USD], on demand, of training jobs; a price that has
moved since is wrong, which is why whoever uses one says so.
"""

from __future__ import annotations

from dataclasses import dataclass

READ_ON = "2026-11-21"
"""The day on which the sources below were read."""

_README = "public copy of the AWS price page, undated: README of goerlitz/nlp-classification"
_FMBENCH = "price list of aws-samples/foundation-model-benchmarking-tool, undated"
_CODE = "lists in public code that agree, undated"
_ASKED_M5 = "public code that asked the Price List API on 2026-08-11"
_ASKED_G5 = "public code that asked the Price List API on 2026-08-20"
_BILL = "AWS bill of December 2023, in aws-samples/sagemaker-ssh-helper"
_OLD_P4 = f"{_FMBENCH}; AWS has announced lower prices since, in June 2025, so rather too high"


@dataclass(frozen=True)
class ListPrice:
    """A list price.

    Args:
        usd_per_hour: Of one instance, on demand [USD/h].
        read_in: Where it was read.
    """

    usd_per_hour: float
    read_in: str


TRAINING: dict[str, dict[str, ListPrice]] = {
    "us-east-1": {
        "ml.c5.xlarge": ListPrice(0.204, _CODE),
        "ml.c5.2xlarge": ListPrice(0.408, _CODE),
        "ml.c5.4xlarge": ListPrice(0.816, _CODE),
        "ml.c5.9xlarge": ListPrice(1.836, _CODE),
        "ml.c5.18xlarge": ListPrice(3.672, _CODE),
        "ml.g4dn.xlarge": ListPrice(0.7364, _README),
        "ml.g4dn.2xlarge": ListPrice(0.94, _README),
        "ml.g4dn.4xlarge": ListPrice(1.505, _README),
        "ml.g4dn.8xlarge": ListPrice(2.72, _README),
        "ml.g4dn.12xlarge": ListPrice(4.89, _README),
        "ml.g4dn.16xlarge": ListPrice(5.44, _README),
        "ml.g5.xlarge": ListPrice(1.4084, _FMBENCH),
        "ml.g5.2xlarge": ListPrice(1.515, _ASKED_G5),
        "ml.g5.4xlarge": ListPrice(2.03, _CODE),
        "ml.g5.8xlarge": ListPrice(3.06, _CODE),
        "ml.g5.12xlarge": ListPrice(7.09, _FMBENCH),
        "ml.g5.16xlarge": ListPrice(5.12, _CODE),
        "ml.g5.24xlarge": ListPrice(10.18, _FMBENCH),
        "ml.g5.48xlarge": ListPrice(20.36, _FMBENCH),
        "ml.g6.xlarge": ListPrice(1.127, _CODE),
        "ml.g6.2xlarge": ListPrice(1.222, _FMBENCH),
        "ml.g6.4xlarge": ListPrice(1.654, _CODE),
        "ml.g6.8xlarge": ListPrice(2.518, _CODE),
        "ml.g6.12xlarge": ListPrice(5.752, _FMBENCH),
        "ml.g6.16xlarge": ListPrice(4.246, _FMBENCH),
        "ml.g6.24xlarge": ListPrice(8.344, _FMBENCH),
        "ml.g6.48xlarge": ListPrice(16.688, _CODE),
        "ml.m5.large": ListPrice(0.115, _ASKED_M5),
        "ml.m5.xlarge": ListPrice(0.23, _FMBENCH),
        "ml.m5.2xlarge": ListPrice(0.461, _CODE),
        "ml.m5.4xlarge": ListPrice(0.922, _CODE),
        "ml.m5.12xlarge": ListPrice(2.765, _CODE),
        "ml.m5.24xlarge": ListPrice(5.53, _CODE),
        "ml.p3.2xlarge": ListPrice(3.825, _README),
        "ml.p3.8xlarge": ListPrice(14.688, _README),
        "ml.p3.16xlarge": ListPrice(28.152, _README),
        "ml.p4d.24xlarge": ListPrice(37.688, _OLD_P4),
    },
    "eu-west-1": {
        "ml.g4dn.xlarge": ListPrice(0.822, _BILL),
        "ml.g5.xlarge": ListPrice(1.57, _BILL),
        "ml.m5.xlarge": ListPrice(0.257, _BILL),
        "ml.p3.2xlarge": ListPrice(4.131, _BILL),
    },
}
"""Price of an hour by region and instance type."""


@dataclass(frozen=True)
class StoragePrice:
    """What S3 Standard costs.

    Args:
        usd_per_gb_month: Of keeping 2^30 bytes for a month [USD].
        usd_per_1000_puts: Of 1000 requests that write or list [USD].
        usd_per_1000_gets: Of 1000 requests that read [USD].
        source: Where the prices are from.
        as_of: The day they were read there.
    """

    usd_per_gb_month: float
    usd_per_1000_puts: float
    usd_per_1000_gets: float
    source: str
    as_of: str


STORAGE = StoragePrice(
    0.023, 0.005, 0.0004, "public price list of S3 Standard, first 50 TB, us-east-1 and eu-west-1", READ_ON
)
"""The same in both regions; elsewhere it is an approximation."""
