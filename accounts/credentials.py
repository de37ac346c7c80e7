"""Which access key a caller shows: `Authorization: Bearer lk_…` or `Api-Key: lk_…`, either everywhere."""

from collections.abc import Iterable
from enum import StrEnum

from accounts.secrets import ACCESS_KEY_FORM

BEARER = b"bearer "


class Refusal(StrEnum):
    """Why no access key could be read from the headers. The value is the error's code."""

    ABSENT = "UNAUTHORIZED"
    NOT_OF_THE_FORM = "INVALID_API_KEY"


def access_key_of(headers: Iterable[tuple[bytes, bytes]]) -> str | Refusal:
    """Of ASGI headers (names in lower case). Two different credentials are none that could be believed."""
    shown = {secret for name, value in headers if (secret := _secret(name, value))}
    if not shown:
        return Refusal.ABSENT
    secret = shown.pop()
    if shown or not ACCESS_KEY_FORM.fullmatch(secret):
        return Refusal.NOT_OF_THE_FORM
    return secret


def _secret(name: bytes, value: bytes) -> str:
    if name == b"authorization":
        return value[len(BEARER) :].strip().decode("latin-1") if value[: len(BEARER)].lower() == BEARER else ""
    return value.strip().decode("latin-1") if name == b"api-key" else ""
