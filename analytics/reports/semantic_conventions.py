"""Under which names OpenTelemetry tells of HTTP: the stable conventions (1.23 and later), then the ones before them.

Apitally's own attributes (`apitally.…`) stand first where there are any.
"""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from analytics.masking import mask_url
from analytics.models import IDENTIFIER_LENGTH, LABEL_LENGTH, METHOD_LENGTH, PATH_LENGTH
from analytics.observations import Call
from analytics.reports.otlp_values import text, whole

Attributes = Mapping[str, object]

ENVIRONMENT: Final = ("deployment.environment.name", "deployment.environment")
METHOD: Final = ("http.request.method", "http.method")
STATUS: Final = ("http.response.status_code", "http.status_code")
CONSUMER: Final = ("apitally.consumer.identifier", "user.id")
CONSUMER_NAME: Final = ("apitally.consumer.name", "user.full_name", "user.name")
CONSUMER_GROUP: Final = ("apitally.consumer.group",)
REQUEST_SIZE: Final = ("http.request.body.size", "http.request_content_length")
RESPONSE_SIZE: Final = ("http.response.body.size", "http.response_content_length")
CLIENT: Final = ("client.address", "http.client_ip", "net.sock.peer.addr", "net.peer.ip")
URLS: Final = ("url.full", "url.original", "http.url", "http.target")
URL_PARTS: Final = {"url.query": "?", "url.fragment": "#"}  # told without the mark before them
FILE: Final = ("code.file.path", "code.filepath")
LINE: Final = ("code.line.number", "code.lineno")
CPU: Final = "process.cpu.utilization"
MEMORY: Final = "process.memory.usage"
SERVER_SPAN_ID: Final = "apitally.request.server_span_id"
SIZE_MAX: Final = 2**46
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Meaning(NamedTuple):
    """What a metric measures: the column that it feeds, its unit where it names none, by which conventions."""

    column: str
    unit: str
    is_old: bool


METRICS: Final = {
    "http.server.request.duration": Meaning("durations", "s", is_old=False),
    "http.server.request.body.size": Meaning("request_sizes", "By", is_old=False),
    "http.server.response.body.size": Meaning("response_sizes", "By", is_old=False),
    "http.server.duration": Meaning("durations", "ms", is_old=True),
    "http.server.request.size": Meaning("request_sizes", "By", is_old=True),
    "http.server.response.size": Meaning("response_sizes", "By", is_old=True),
}
SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "min": 60.0}
BYTES: Final = {
    "By": 1.0,
    "kBy": 1e3,
    "MBy": 1e6,
    "KiBy": 1024.0,
    "MiBy": 1024.0**2,
    "bytes": 1.0,
    "byte": 1.0,
    "B": 1.0,
}


def span_call(attributes: Attributes) -> Call:
    """Of a SERVER span: its path is '' where no route is told, for its target is a raw path."""
    return _call(attributes, text(attributes, "http.route", at_most=PATH_LENGTH))


def point_call(attributes: Attributes) -> Call:
    """Of a metric's point. There the old `http.target` is the route: a metric can have no raw paths."""
    route = text(attributes, "http.route") or text(attributes, "http.target").partition("?")[0]
    return _call(attributes, route[:PATH_LENGTH])


def consumer_labels(attributes: Attributes) -> tuple[str | None, str | None]:
    """The consumer's name and group, None where not told."""
    name = text(attributes, *CONSUMER_NAME, at_most=LABEL_LENGTH)
    return name or None, text(attributes, *CONSUMER_GROUP, at_most=LABEL_LENGTH) or None


def size(attributes: Attributes, *names: str) -> int | None:
    """Of a body, in bytes; None where not known."""
    found = whole(attributes, *names)
    return found if found is not None and 0 <= found <= SIZE_MAX else None


def client_ip(attributes: Attributes) -> str | None:
    return next((found for name in CLIENT if (found := address(text(attributes, name, at_most=46)))), None)


@lru_cache(maxsize=1024)
def address(told: str) -> str | None:
    """An address that PostgreSQL's inet takes, or None."""
    try:
        return None if "%" in told else str(ipaddress.ip_address(told))
    except ValueError:
        return None


def url(attributes: Attributes) -> str:
    """As the client called it, masked; as much of it as was told."""
    return mask_url(_by_parts(attributes) or text(attributes, "url.full", "http.url") or _by_target(attributes))


def _call(attributes: Attributes, path: str) -> Call:
    status = whole(attributes, *STATUS) or 0
    return Call(
        method=text(attributes, *METHOD).upper()[:METHOD_LENGTH],
        path=path,
        status_code=status if 100 <= status <= 599 else 0,
        consumer=text(attributes, *CONSUMER, at_most=IDENTIFIER_LENGTH) or None,
    )


def _by_parts(attributes: Attributes) -> str:
    path = text(attributes, "url.path")
    if not path:
        return ""
    query = text(attributes, "url.query")
    origin = _origin(
        text(attributes, "url.scheme"), text(attributes, "server.address"), whole(attributes, "server.port")
    )
    return f"{origin}{path}?{query}" if query else origin + path


def _by_target(attributes: Attributes) -> str:
    host, port = text(attributes, "http.host", "net.host.name"), whole(attributes, "net.host.port")
    return _origin(text(attributes, "http.scheme"), host, port) + text(attributes, "http.target")


def _origin(scheme: str, host: str, port: int | None) -> str:
    """`https://api.example.com:8443`. Many SDKs write the port into the host: it is not said twice."""
    if not host:
        return ""
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    has_port = host.rpartition(":")[2].isdigit() and not host.endswith("]")
    if not has_port and port and port != DEFAULT_PORTS.get(scheme):
        host = f"{host}:{port}"
    return f"{scheme or 'http'}://{host}"
