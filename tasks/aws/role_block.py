"""The Prefect block that names the execution role of training jobs; register with ``prefect block register -m``."""

from __future__ import annotations

from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field


class SageMakerRole(Block):
    """Execution role of training jobs on SageMaker; a name, no secret."""

    _block_type_name: ClassVar[str] = "SageMaker Role"
    _block_type_slug: ClassVar[str] = "sagemaker-role"
    _description: ClassVar[str] = "Execution role of the training jobs that Codewarden launches."

    role_arn: str = Field(
        pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$",
        description="ARN of the role, such as arn:aws:iam::123456789012:role/codewarden-training.",
    )
