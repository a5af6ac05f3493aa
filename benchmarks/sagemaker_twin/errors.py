"""How the twin says no."""

from __future__ import annotations


class ApiError(Exception):
    """An answer of the API that is an error.

    Args:
        code: The API's error code, such as ``ValidationException``.
        message: Its text.
        status: HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


class JobFailure(Exception):
    """A reason for which the platform fails a job, in its words."""
