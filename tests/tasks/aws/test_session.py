"""Who we are and where things are kept: from settings, blocks, or the standard chain; else three ways are told."""

from __future__ import annotations

import asyncio

import pytest

from models.errors import CloudRefused, SettingsInvalid
from models.store.s3 import S3Uri
from tasks.aws.session import execution_role, open_session, place_of, placeholder_place, store_uri
from tasks.aws.settings import SageMakerSettings

ROLE = "arn:aws:iam::123456789012:role/codewarden-training"
OTHER_ROLE = "arn:aws:iam::123456789012:role/other"


def test_the_role_is_taken_from_settings_then_from_the_environment_and_else_three_ways_are_told():
    variables = {"SAGEMAKER_EXECUTION_ROLE": OTHER_ROLE}
    assert execution_role(SageMakerSettings(role=ROLE), variables) == ROLE
    assert execution_role(SageMakerSettings(), variables) == OTHER_ROLE
    with pytest.raises(SettingsInvalid, match=r"sagemaker.role .*sagemaker.role_block .*SAGEMAKER_EXECUTION_ROLE"):
        execution_role(SageMakerSettings(), {})


def test_no_store_and_no_region_are_refused(monkeypatch):
    with pytest.raises(SettingsInvalid, match=r"sagemaker.store.*sagemaker.bucket_block"):
        store_uri(SageMakerSettings())
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(SettingsInvalid, match="no AWS region is known"):
        open_session(SageMakerSettings())


def test_without_credentials_a_person_is_told(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(CloudRefused, match="there are no AWS credentials"):
        _ = open_session(SageMakerSettings(region="eu-west-1")).account


def test_the_account_names_the_default_image(aws):
    settings = SageMakerSettings(store="s3://some-bucket/x/", role=ROLE, region="eu-west-1")
    place = place_of(settings, open_session(settings))

    assert place.image.startswith("123456789012.dkr.ecr.eu-west-1.amazonaws.com/codewarden:py")
    assert (place.store, place.role, place.placeholders) == (S3Uri("some-bucket", "x"), ROLE, ())


def test_a_dry_run_needs_nothing_and_says_what_it_made_up():
    place = placeholder_place(SageMakerSettings(role_block="a-role", bucket_block="a-bucket"), {})
    assert [phrase.split()[0] for phrase in place.placeholders] == ["region", "role", "store", "account"]

    known = SageMakerSettings(role=ROLE, store="s3://some-bucket", region="eu-west-1")
    assert placeholder_place(known, {}).placeholders == ()
    assert placeholder_place(known, {}).image.startswith("123456789012.dkr.ecr.eu-west-1.")


@pytest.mark.server
def test_blocks_say_who_we_are_in_a_thread_and_in_a_running_loop(prefect_client, monkeypatch):
    from prefect_aws import AwsCredentials, S3Bucket

    from tasks.aws.role_block import SageMakerRole

    credentials = AwsCredentials(
        aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="hidden", region_name="eu-north-1"
    )
    credentials.save("launching", overwrite=True, _sync=True)
    S3Bucket(bucket_name="some-bucket", bucket_folder="codewarden/", credentials=credentials).save(
        "kept", overwrite=True, _sync=True
    )
    SageMakerRole(role_arn=ROLE).save("training", overwrite=True, _sync=True)
    settings = SageMakerSettings(credentials_block="launching", bucket_block="kept", role_block="training")

    async def in_loop() -> str:
        return execution_role(settings)

    assert execution_role(settings) == asyncio.run(in_loop()) == ROLE
    assert store_uri(settings) == S3Uri("some-bucket", "codewarden")
    for one in (settings, settings.model_copy(update={"credentials_block": None})):
        session = open_session(one)
        assert session.region == "eu-north-1"
        assert session.boto_session.get_credentials().access_key == "AKIDEXAMPLE"
    with pytest.raises(SettingsInvalid, match=r"role_block: Prefect knows no block sagemaker-role/absent"):
        execution_role(SageMakerSettings(role_block="absent"))
