"""What a report says of itself before its body is read: its path, its headers, and nothing else."""

from typing import Final
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec

from accounts.secrets import digest_of
from analytics.ingest import answers
from analytics.ingest.answers import HUB_MAX_BYTES, OTLP_MAX_BYTES, Refusal, Tongue
from analytics.models import ReportKind
from analytics.reports.cleaning import clean
from analytics.secrets import WRITE_TOKEN_FORM
from keys.validation.app import Scope

OTLP_KINDS: Final = {
    "/v1/traces": ReportKind.TRACES,
    "/v1/logs": ReportKind.LOGS,
    "/v1/metrics": ReportKind.METRICS,
}
HUB: Final = "/v2/"
# SDKs of 0.x add this to their base URL as it was given, which may end in a slash.
HUBS: Final = (HUB, f"/{HUB}")
HUB_KINDS: Final = {
    "startup": ReportKind.STARTUP,
    "sync": ReportKind.SYNC,
    "log": ReportKind.LOG,
    "logpush": ReportKind.LOGPUSH,
}
OTLP_TONGUES: Final = {b"application/x-protobuf": Tongue.OTLP_PROTOBUF, b"application/json": Tongue.OTLP_JSON}
ENCODINGS: Final = frozenset({b"", b"identity", b"gzip"})
# The second is how OTEL_EXPORTER_OTLP_HEADERS has to be written; some SDKs send it without decoding it.
BEARERS: Final = (b"bearer ", b"bearer%20")
ENVIRONMENT_LENGTH, MESSAGE_ID_LENGTH = 256, 64

Credential = bytes | UUID  # the digest of a write token, or a client id
Fields = dict[bytes, bytes]


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A report whose body has yet to come. `declared_bytes` is 0 where its length is not told (chunked)."""

    kind: ReportKind
    tongue: Tongue
    credential: Credential
    environment: str
    message_id: str = ""
    declared_bytes: int = 0

    @property
    def at_most_bytes(self) -> int:
        return HUB_MAX_BYTES if self.tongue is Tongue.HUB else OTLP_MAX_BYTES

    @property
    def too_large(self) -> Refusal:
        return answers.HUB_TOO_LARGE if self.tongue is Tongue.HUB else answers.OTLP_TOO_LARGE

    @property
    def unknown(self) -> Refusal:
        """For who shows a credential of the right form that is not (or no longer) one."""
        return answers.UNKNOWN_CLIENT if self.tongue is Tongue.HUB else answers.UNKNOWN_TOKEN


def is_ingest_path(path: str) -> bool:
    """Whether the path is of the hub or OTLP's, be there something or not."""
    return path in OTLP_KINDS or path.startswith(HUBS) or path == "/v2"


def tongue_of(scope: Scope) -> Tongue:
    """In which the caller is answered, whatever else is wrong; JSON for who sends neither of OTLP's types."""
    if scope["path"] not in OTLP_KINDS:
        return Tongue.HUB
    return OTLP_TONGUES.get(_media_type(_fields(scope)), Tongue.OTLP_JSON)


def read_arrival(scope: Scope) -> Arrival | Refusal:
    """Of a request on a path of ingest. Nothing is looked up: the credential is of the right form, no more."""
    kind = OTLP_KINDS.get(scope["path"])
    return _read_hub(scope) if kind is None else _read_otlp(kind, scope)


def _read_otlp(kind: ReportKind, scope: Scope) -> Arrival | Refusal:
    fields = _fields(scope)
    if scope["method"] != "POST":
        return answers.WRONG_METHOD
    tongue = OTLP_TONGUES.get(_media_type(fields))
    if tongue is None:
        return answers.WRONG_TYPE
    if _encoding(fields) not in ENCODINGS:
        return answers.WRONG_ENCODING
    digest = _token_digest(fields)
    if digest is None:
        return answers.UNKNOWN_TOKEN
    environment = fields.get(b"apitally-env", b"").decode(errors="replace")
    return Arrival(kind, tongue, digest, clean(environment, ENVIRONMENT_LENGTH), "", _declared_bytes(fields))


def _read_hub(scope: Scope) -> Arrival | Refusal:
    """`/v2/{client_id}/{env}/{kind}`: the client id in the path is the only credential of 0.x."""
    parts = scope["path"].lstrip("/").split("/")
    kind = HUB_KINDS.get(parts[-1]) if len(parts) == 4 else None
    if kind is None:
        return answers.NO_SUCH_PATH
    if scope["method"] != "POST":
        return answers.WRONG_METHOD
    client_id = _uuid(parts[1])
    if client_id is None:
        return answers.UNKNOWN_CLIENT
    fields = _fields(scope)
    if _encoding(fields) not in ENCODINGS:
        return answers.WRONG_ENCODING
    message_id = _file_uuid(scope["query_string"]) if kind is ReportKind.LOG else ""
    environment = clean(parts[2], ENVIRONMENT_LENGTH)
    return Arrival(kind, Tongue.HUB, client_id, environment, message_id, _declared_bytes(fields))


def _fields(scope: Scope) -> Fields:
    """Headers by name; one that comes twice is its values in a list (RFC 9110 5.3), which suits none of ours."""
    fields: Fields = {}
    for name, value in scope["headers"]:
        fields[name] = fields[name] + b", " + value if name in fields else value
    return fields


def _media_type(fields: Fields) -> bytes:
    return fields.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _encoding(fields: Fields) -> bytes:
    return fields.get(b"content-encoding", b"").strip().lower()


def _declared_bytes(fields: Fields) -> int:
    told = fields.get(b"content-length", b"")
    return int(told) if told.isdigit() and len(told) < 20 else 0


def _token_digest(fields: Fields) -> bytes | None:
    shown = fields.get(b"authorization", b"")
    scheme = next((each for each in BEARERS if shown.lower().startswith(each)), None)
    if scheme is None:
        return None
    token = shown[len(scheme) :].strip().decode("latin-1")
    return digest_of(token) if WRITE_TOKEN_FORM.fullmatch(token) else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _file_uuid(query: bytes) -> str:
    return clean(dict(parse_qsl(query.decode("latin-1"))).get("uuid", ""), MESSAGE_ID_LENGTH)
