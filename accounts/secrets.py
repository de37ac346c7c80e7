"""The form of an access key's secret: `lk_` and 32 hex digits, of which the first is its account's bucket.

The other 31 digits are random (124 bits), so SHA-256 alone is the right digest: nothing of it can be guessed.
"""

import hashlib
import re
import secrets
from typing import NewType

Bucket = NewType("Bucket", int)

BUCKETS = 16
ACCESS_KEY_FORM = re.compile(r"lk_[0-9a-f]{32}")


def new_access_key(bucket: Bucket) -> str:
    return f"lk_{bucket:x}{secrets.token_hex(16)[1:]}"


def bucket_of(access_key: str) -> Bucket:
    """The bucket that an access key of the right form names."""
    return Bucket(int(access_key[3], 16))


def digest_of(secret: str) -> bytes:
    """The 32 bytes under which a secret is stored."""
    return hashlib.sha256(secret.encode()).digest()
