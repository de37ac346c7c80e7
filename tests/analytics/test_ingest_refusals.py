"""What is refused at once: each status, in the tongue of who asked, and nothing of it in the inbox."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from analytics.ingest.answers import rpc_status
from analytics.models import InboxReport
from tests.analytics.reporters import HUB, JSON, OTLP, PROTOBUF, Ingest, Reporter, bodies, in_parts
from tests.cast import Tenant
from tests.conftest import ApiClient
from tests.live_server import LiveServer

MIB = 1024 * 1024
SOMEBODY = "apt_" + "x" * 24


def _told(answer: httpx.Response) -> tuple[int, str]:
    """Code and message of a google.rpc.Status, in either form."""
    if answer.headers["Content-Type"] == JSON:
        body = answer.json()
        assert set(body) == {"code", "message"}
        return body["code"], body["message"]
    assert answer.headers["Content-Type"] == PROTOBUF
    code, text = answer.content[1], answer.content[4:]
    assert answer.content == bytes([0x08, code, 0x12, len(text)]) + text  # both below 128: a byte each
    return code, text.decode()


def _assert_of_the_hub(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, JSON)
    assert set(answer.json()) == {"error", "code", "detail"}
    assert answer.json()["code"] == code
    assert answer.json()["detail"] == answer.json()["error"]


# --- shapes -------------------------------------------------------------------------------------------------------
def test_an_error_is_a_status_of_google_rpc() -> None:
    """Read by protobuf itself: AnyValue's bytes are of the same form as Status's second field would be."""
    long = "x" * 300
    assert rpc_status(16, "no") == b"\x08\x10\x12\x02no"
    assert rpc_status(300, long) == b"\x08\xac\x02\x12\xac\x02" + long.encode()
    assert AnyValue.FromString(b"\x0a" + rpc_status(3, long)[3:]).string_value == long


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("path", OTLP)
def test_otlp_is_refused_in_the_form_it_was_sent_in(api: ApiClient, path: str, content_type: str) -> None:
    headers = {"Authorization": f"Bearer {SOMEBODY}", "Content-Type": content_type}
    answer = api.post(path, headers=headers, content=b"{}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, content_type)
    assert _told(answer) == (16, "Give a live write token: Authorization: Bearer apt_…")
    assert answer.headers["Apitally-Export-Interval"] == "15"


# --- credentials --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer apt_short",
        f"Basic {SOMEBODY}",
        f"Bearer%20{SOMEBODY}",
        f"Bearer {SOMEBODY}, Bearer {SOMEBODY}",
        "Bearer lk_" + "0" * 32,
        f"Bearer {SOMEBODY}",
    ],
)
def test_otlp_without_a_live_token_is_401(api: ApiClient, shop: Reporter, shown: str) -> None:
    answer = api.post("/v1/traces", headers=shop.headers() | {"Authorization": shown}, content=b"x")
    assert (answer.status_code, _told(answer)[0]) == (401, 16)
    assert not InboxReport.objects.exists()


@pytest.mark.parametrize("client_id", ["6f1c2a52-0000-4000-8000-000000000000", "demo", "", "0"])
def test_the_hub_without_a_known_client_id_is_404(api: ApiClient, shop: Reporter, client_id: str) -> None:
    for kind in HUB:
        _assert_of_the_hub(api.post(f"/v2/{client_id}/dev/{kind}", content=b"x"), 404, "NOT_FOUND")
    assert not InboxReport.objects.exists()


# --- methods, paths, types ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_405(api: ApiClient, shop: Reporter, method: str) -> None:
    otlp = api.request(method, "/v1/traces", headers=shop.headers())
    hub = api.request(method, shop.hub("sync"))
    assert (otlp.status_code, _told(otlp), otlp.headers["Allow"]) == (405, (12, "Use POST"), "POST")
    _assert_of_the_hub(hub, 405, "METHOD_NOT_ALLOWED")
    assert hub.headers["Allow"] == "POST"


def test_unknown_paths_of_the_hub_are_404_in_json(api: ApiClient, shop: Reporter) -> None:
    known = f"/v2/{shop.app.client_id}"
    beside = [f"{known}{end}" for end in ("", "/dev", "/dev/", "/dev/sync/", "/dev/nothing", "//", "/a/b/sync")]
    for path in ("/v2", "/v2/", "/v2/x", *beside):
        for method in ("GET", "POST"):
            _assert_of_the_hub(api.request(method, path, follow_redirects=False), 404, "NOT_FOUND")
    assert not InboxReport.objects.exists()


@pytest.mark.parametrize("path", ["/v1/traces/", "/v1/traces/x", "/v1/profiles", "/v1/Traces"])
def test_paths_beside_otlps_are_the_rest_apis(api: ApiClient, alice: Tenant, shop: Reporter, path: str) -> None:
    """Whose access key a write token is not."""
    assert api.post(path, headers=shop.headers(), content=b"x").json()["code"] == "INVALID_API_KEY"
    assert api.post(path, of=alice, content=b"x").json() == {"error": "Not found", "code": "NOT_FOUND"}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream", "application/protobuf"])
def test_otlp_of_another_type_is_415(api: ApiClient, shop: Reporter, content_type: str) -> None:
    answer = api.post("/v1/metrics", headers=shop.headers(content_type), content=b"x")
    assert (answer.status_code, _told(answer)[0], answer.headers["Content-Type"]) == (415, 3, JSON)


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x"])
def test_another_encoding_is_400(api: ApiClient, shop: Reporter, encoding: str) -> None:
    otlp = api.post("/v1/logs", headers=shop.headers(Content_Encoding=encoding), content=b"x")
    hub = api.post(shop.hub("log"), headers={"Content-Encoding": encoding}, content=b"x")
    assert (otlp.status_code, _told(otlp)[0]) == (400, 3)
    _assert_of_the_hub(hub, 400, "VALIDATION_ERROR")
    assert not InboxReport.objects.exists()


@pytest.mark.parametrize("encoding", ["", "identity", "GZIP"])
def test_gzip_and_identity_are_taken(api: ApiClient, shop: Reporter, encoding: str) -> None:
    assert api.post("/v1/logs", headers=shop.headers(Content_Encoding=encoding), content=b"x").status_code == 200
    assert api.post(shop.hub("log"), headers={"Content-Encoding": encoding}, content=b"x").status_code == 202


# --- bodies -------------------------------------------------------------------------------------------------------
def test_a_body_at_its_bound_is_taken_and_one_byte_more_is_not(api: ApiClient, shop: Reporter) -> None:
    most = [b"x" * (4 * MIB), b"x" * (5 * MIB)]
    otlp = [api.post("/v1/traces", headers=shop.headers(), content=body) for body in (most[0], most[0] + b"x")]
    hub = [api.post(shop.hub("log"), content=body) for body in (most[1], most[1] + b"x")]
    assert [answer.status_code for answer in otlp + hub] == [200, 413, 202, 422]
    assert _told(otlp[1]) == (3, "The body is larger than 4194304 bytes")
    _assert_of_the_hub(hub[1], 422, "PAYLOAD_TOO_LARGE")
    assert bodies() == most


def test_a_body_of_untold_length_is_bounded_as_well(api: ApiClient, shop: Reporter) -> None:
    parts = [b"x" * MIB] * 6
    otlp = api.post("/v1/traces", headers=shop.headers(), content=in_parts(*parts))
    hub = api.post(shop.hub("startup"), content=in_parts(*parts))
    assert (otlp.status_code, hub.status_code) == (413, 422)
    assert not InboxReport.objects.exists()


@pytest.mark.parametrize("is_told", [True, False])
def test_who_sends_too_much_sees_the_answer(server: LiveServer, shop: Reporter, is_told: bool) -> None:
    """A client that writes all before it reads would else meet a closed connection, and send it again for good."""
    size = 12 * MIB
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        length = f"Content-Length: {size}" if is_told else "Transfer-Encoding: chunked"
        connection.sendall(f"POST {shop.hub('sync')} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n".encode())
        for _ in range(size // MIB):
            part = b"x" * MIB
            connection.sendall(part if is_told else b"%x\r\n" % MIB + part + b"\r\n")
        connection.sendall(b"" if is_told else b"0\r\n\r\n")
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 422 ")


def test_a_body_that_comes_too_slowly_is_503_and_may_come_again(
    new_ingest: Callable[..., Ingest], shop: Reporter
) -> None:
    ingest = new_ingest(body_within_s=0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(30)
        yield b"y"

    otlp = ingest.post("/v1/traces", headers=shop.headers(), content=slowly())
    hub = ingest.post(shop.hub("sync"), content=slowly())
    assert (otlp.status_code, _told(otlp), otlp.headers["Retry-After"]) == (
        503, (4, "The body did not arrive in time"), "1",
    )  # fmt: skip
    _assert_of_the_hub(hub, 503, "SERVICE_UNAVAILABLE")
    assert hub.headers["Retry-After"] == "1"
    assert not InboxReport.objects.exists()


def test_a_slow_sender_holds_up_nobody(server: LiveServer, shop: Reporter) -> None:
    """Through a real server, at the real bound of ten seconds."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(f"POST {shop.hub('sync')} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nslow".encode())
        quick = httpx.post(f"{server.url}{shop.hub('sync')}", content=b"quick")
        answer = connection.recv(65_536)
    assert quick.status_code == 202
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert bodies() == [b"quick"]


def test_a_client_that_leaves_leaves_nothing(server: LiveServer, shop: Reporter) -> None:
    url = httpx.URL(server.url)
    for _ in range(3):
        with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
            connection.sendall(f"POST {shop.hub('sync')} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhal".encode())
    assert httpx.post(f"{server.url}{shop.hub('sync')}", content=b"whole").status_code == 202
    assert bodies() == [b"whole"]
