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
    shown = ""
    for name, value in headers:
        if name == b"authorization":
            secret = value[len(BEARER) :] if value[: len(BEARER)].lower() == BEARER else b""
        elif name == b"api-key":
            secret = value
        else:
            continue
        text = secret.strip().decode("latin-1")
        if shown and text and text != shown:
            return Refusal.NOT_OF_THE_FORM
        shown = shown or text
    if not shown:
        return Refusal.ABSENT
    return shown if ACCESS_KEY_FORM.fullmatch(shown) else Refusal.NOT_OF_THE_FORM
