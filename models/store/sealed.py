"""Small JSON documents that carry their own sha256, so that a damaged one is never believed.

Heads and manifests are such documents; what they mean is said where they are made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from models.errors import ObjectCorrupt

_SEAL = "sealed_sha256"


def seal(body: Mapping[str, Any]) -> bytes:
    """The document as deterministic bytes: equal bodies give equal bytes.

    Args:
        body: JSON values under string keys; NaN and infinities are kept.
    """
    return _canonical({**body, _SEAL: _sha256(body)}) + b"\n"


def unseal(key: str, content: bytes) -> dict[str, Any]:
    """The body that was sealed.

    Raises:
        ObjectCorrupt: It is not such a document, or not as it was written. Not retried.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ObjectCorrupt(key, "a sealed JSON document", f"{len(content)} bytes that are none ({error})") from error
    if not isinstance(body, dict):
        raise ObjectCorrupt(key, "a JSON object", type(body).__name__)
    expected = body.pop(_SEAL, None)
    found = _sha256(body)
    if found != expected:
        raise ObjectCorrupt(key, f"sha256 {expected}", f"sha256 {found}")
    return body


def _sha256(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, indent=1).encode()
