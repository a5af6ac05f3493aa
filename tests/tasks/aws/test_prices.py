"""Prices: what AWS answers is read strictly, what cannot be asked comes from a table that says so."""

from __future__ import annotations

import json
import time

import boto3
import pytest
from botocore.stub import Stubber

from tasks.aws import prices
from tasks.aws.price_table import READ_ON, STORAGE, TRAINING
from tasks.aws.prices import API_SOURCE, on_demand_rate

T4 = "ml.g4dn.xlarge"
TODAY = "2026-11-21"


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch):
    monkeypatch.setattr(prices, "_asked", {})
    monkeypatch.setattr(prices, "_today", lambda: TODAY)  # a real clock would pass midnight within a run of tests


def test_today_is_that_of_utc(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 1, 2, 23, 59, 59, 4, 2, 0)))
    assert prices._today() == "2026-01-02"


def dimension(usd="0.7364000000", unit="Hrs"):
    return {
        "unit": unit,
        "endRange": "Inf",
        "description": f"$0.7364 per Training {T4} hour in US East (N. Virginia)",
        "appliesTo": [],
        "rateCode": "C5WDPZ4Q8DVVTUYT.JRTCKXETXF.6YS6EN2CT7",
        "beginRange": "0",
        "pricePerUnit": {"USD": usd},
    }


def product(*dimensions, component="Training", name=T4):
    """An answer in the form of the Price List API."""
    return json.dumps(
        {
            "product": {
                "productFamily": "ML Instance",
                "attributes": {
                    "regionCode": "us-east-1",
                    "servicecode": "AmazonSageMaker",
                    "instanceName": name,
                    "component": component,
                    "usagetype": f"USE1-Train:{name}",
                    "vCpu": "4",
                    "gpu": "1",
                },
                "sku": "C5WDPZ4Q8DVVTUYT",
            },
            "serviceCode": "AmazonSageMaker",
            "terms": {
                "OnDemand": {
                    "C5WDPZ4Q8DVVTUYT.JRTCKXETXF": {
                        "priceDimensions": {f"D{number}": each for number, each in enumerate(dimensions)},
                        "offerTermCode": "JRTCKXETXF",
                        "effectiveDate": "2026-11-01T00:00:00Z",
                        "termAttributes": {},
                    }
                },
                "Reserved": {"X": {"priceDimensions": {"R": dimension("0.1")}}},
            },
            "version": "20261110000000",
            "publicationDate": "2026-11-10T00:00:00Z",
        }
    )


@pytest.fixture
def pricing(monkeypatch):
    """A client of the API whose answers a test lays down, page by page; it fails when asked more or otherwise."""
    client = boto3.client("pricing", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        client.stubber = stubber
        yield client


def answer(pricing, *pages):
    """Lay down the pages of one answer."""
    asked = {
        "ServiceCode": "AmazonSageMaker",
        "Filters": [
            {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"},
            {"Type": "TERM_MATCH", "Field": "instanceName", "Value": T4},
            {"Type": "TERM_MATCH", "Field": "component", "Value": "Training"},
        ],
    }
    for number, page in enumerate(pages):
        token = {} if number == 0 else {"NextToken": f"t{number}"}
        following = {} if number == len(pages) - 1 else {"NextToken": f"t{number + 1}"}
        response = {"FormatVersion": "aws_v1", "PriceList": page, **following}
        pricing.stubber.add_response("get_products", response, asked | token)


def test_the_price_is_asked_once_for_a_process_and_once_a_day_for_a_run_root(pricing, tmp_path, monkeypatch):
    answer(pricing, [product(dimension())])
    rate = on_demand_rate(T4, "us-east-1", pricing, runs_path=tmp_path)
    assert (rate.usd_per_hour, rate.source, rate.as_of, rate.is_fallback) == (0.7364, API_SOURCE, TODAY, False)
    assert on_demand_rate(T4, "us-east-1", pricing) == rate
    monkeypatch.setattr(prices, "_asked", {})  # another process
    assert on_demand_rate(T4, "us-east-1", pricing, runs_path=tmp_path) == rate
    pricing.stubber.assert_no_pending_responses()
    assert [path.name for path in (tmp_path / "prices" / TODAY).iterdir()] == ["us-east-1_ml.g4dn.xlarge.json"]


def test_only_training_on_this_instance_by_the_hour_counts(pricing):
    others = [
        product(dimension("9.0"), component="Hosting"),
        product(dimension("8.0"), name="ml.g4dn.2xlarge"),
        product(dimension("0.0000000000"), dimension("7.0", unit="GB-Mo")),
    ]
    answer(pricing, others[:1], [*others[1:], product(dimension())], [])
    assert on_demand_rate(T4, "us-east-1", pricing).usd_per_hour == 0.7364


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([[]], "has no price of it"),
        ([[product(dimension("a lot"))]], "form that this program does not know"),
        ([["<html>"]], "form that this program does not know"),
        ([["[]"]], "form that this program does not know"),
    ],
)
def test_where_an_answer_holds_no_price_the_table_is_taken_and_says_why(pricing, pages, said, tmp_path):
    answer(pricing, *pages)
    rate = on_demand_rate(T4, "us-east-1", pricing, runs_path=tmp_path)
    assert (rate.usd_per_hour, rate.is_fallback) == (0.7364, True)
    assert said in rate.source
    assert list(tmp_path.iterdir()) == []  # asked again next time


@pytest.mark.parametrize(
    "pages",
    [[[product(dimension(), dimension("0.9"))]], [[product(dimension())], [product(dimension("0.9"))]]],
)
def test_of_several_prices_the_highest_is_taken_and_announced(pricing, pages, tmp_path, monkeypatch):
    answer(pricing, *pages)
    rate = on_demand_rate(T4, "us-east-1", pricing, runs_path=tmp_path)
    assert (rate.usd_per_hour, rate.is_fallback) == (0.9, True)
    assert "the highest of the 2 it tells ($0.7364, $0.9)" in rate.source
    monkeypatch.setattr(prices, "_asked", {})  # another process
    assert on_demand_rate(T4, "us-east-1", pricing, runs_path=tmp_path) == rate


def test_without_the_right_to_ask_the_table_is_taken_and_says_why(pricing):
    pricing.stubber.add_client_error("get_products", "AccessDeniedException", http_status_code=400)
    rate = on_demand_rate(T4, "us-east-1", pricing)
    assert rate.is_fallback
    assert (rate.usd_per_hour, rate.as_of) == (0.7364, READ_ON)
    assert "table of this package" in rate.source
    assert "refused: AccessDeniedException" in rate.source


def test_where_aws_is_not_reached_the_table_is_taken_and_says_why():
    from botocore.config import Config

    client = boto3.client(
        "pricing",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
    )
    assert "not reached: EndpointConnectionError" in on_demand_rate(T4, "eu-west-1", client).source


def test_without_a_client_the_table_is_taken_and_says_so():
    rate = on_demand_rate(T4, "eu-west-1")
    assert (rate.usd_per_hour, rate.is_fallback) == (0.822, True)
    assert "without credentials" in str(rate)


def test_an_older_answer_of_this_run_root_comes_before_the_table(pricing, tmp_path):
    for day, usd in (("2026-01-02", 0.5), ("2026-01-04", 0.6), ("2026-01-03", 0.7)):
        (tmp_path / "prices" / day).mkdir(parents=True)
        (tmp_path / "prices" / day / f"us-east-1_{T4}.json").write_text(json.dumps({"usd_per_hour": usd}))
    rate = on_demand_rate(T4, "us-east-1", runs_path=tmp_path)
    assert (rate.usd_per_hour, rate.as_of, rate.is_fallback) == (0.6, "2026-01-04", True)
    assert rate.source == "AWS Price List API, asked on 2026-01-04"
    answer(pricing, [product(dimension())])
    assert on_demand_rate(T4, "us-east-1", pricing, runs_path=tmp_path).usd_per_hour == 0.7364


def test_a_damaged_answer_is_passed_over(tmp_path, caplog):
    (tmp_path / "prices" / TODAY).mkdir(parents=True)
    (tmp_path / "prices" / TODAY / f"us-east-1_{T4}.json").write_text('{"usd_per')
    assert on_demand_rate(T4, "us-east-1", runs_path=tmp_path).usd_per_hour == 0.7364
    assert "damaged" in caplog.text


def test_a_region_that_is_in_no_table_gets_the_price_of_another_which_is_said():
    rate = on_demand_rate(T4, "mars-north-1")
    assert (rate.usd_per_hour, rate.is_fallback) == (0.7364, True)
    assert "price of us-east-1, as that of mars-north-1 is unknown here" in rate.source


def test_a_type_that_nobody_knows_has_an_unknown_price_and_is_no_error():
    rate = on_demand_rate("ml.q9.huge", "us-east-1")
    assert (rate.usd_per_hour, rate.counted_usd_per_hour, rate.is_fallback) == (None, 0.0, True)
    assert str(rate).startswith("price unknown, the table of this package does not have it")


def test_every_price_of_the_table_says_where_it_is_from():
    found = [price for of_region in TRAINING.values() for price in of_region.values()]
    assert all(0 < price.usd_per_hour < 100 and price.read_in for price in found)
    assert STORAGE.as_of == READ_ON
    time.strptime(READ_ON, "%Y-%m-%d")
