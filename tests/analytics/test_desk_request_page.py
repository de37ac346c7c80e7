"""One request on the staff's desk: all that is known of it, harmless, and veiled for who may not see it."""

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Staff
from accounts.roles import Role
from analytics.desk.request_page import readable
from analytics.models import App, Environment, RequestLog
from tests.analytics.explorers import NOON, as_role
from tests.analytics.filed import detail, endpoint, file_rows, file_whole_request, line, observe, request, span
from tests.analytics.folds import decide, fold_all
from tests.cast import Tenant
from tests.queries import counting_queries
from tests.store_redis import StoreRedis


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


def page_of(client: Client, row: RequestLog) -> str:
    answer = client.get(reverse("desk:request", args=[row.app_id, row.uuid]))
    assert answer.status_code == 200
    return answer.content.decode()


def test_all_that_was_captured_is_shown(desk: Client, prod: Environment) -> None:
    page = page_of(desk, file_whole_request(prod, NOON))
    for known in (
        "POST /orders/{id}", "content-type", "&quot;qty&quot;: 1", "The body was empty.", "KeyError", "Traceback …",
        "about to fail", "orders.py:42", "SELECT", "50.0 ms", "<rect", "failed", "rows",
    ):  # fmt: skip
        assert known in page, known


def test_a_decision_is_shown_with_its_reason_and_links_to_its_key_and_user(
    desk: Client, stores: StoreRedis, alice: Tenant
) -> None:
    user = alice.user()
    key = alice.key(user=user).api_key
    decide(stores, alice, NOON, api_key_id=key.pk, user_id=user.pk, outcome=2)
    fold_all()
    page = page_of(desk, RequestLog.objects.get(app_id=App.objects.get().pk))
    assert "over quota" in page
    for model, row in {"keys_apikey": key.pk, "accounts_user": user.pk, "analytics_app": App.objects.get().pk}.items():
        assert reverse(f"admin:{model}_change", args=[row]) in page


def test_what_was_captured_is_never_run(desk: Client, prod: Environment) -> None:
    evil = "<script>alert(1)</script>"
    row = request(prod, endpoint(prod.app, "GET /a"), NOON, url=f"/a?{evil}")
    captured = detail(row, request_headers=[[evil, evil]], response_body=evil, exception_message=evil)
    file_rows([row])
    file_rows([captured])
    file_rows([span(captured, "00000000000000aa", name=evil, attributes={evil: evil})])
    file_rows([line(captured, evil)])
    page = page_of(desk, row)
    assert evil not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 6


def test_a_viewer_sees_when_and_how_long_but_nothing_personal(prod: Environment) -> None:
    row = request(prod, endpoint(prod.app, "GET /users/{id}"), NOON, url="/users/uma?x=uma", client_ip="10.9.8.7")
    uma = prod.app.consumers.create(identifier="uma")
    row.consumer_id = uma.pk
    captured = detail(
        row, request_headers=[["x-user", "uma"]], request_body='"uma"', exception_type="KeyError",
        exception_message="uma", exception_stacktrace="uma",
    )  # fmt: skip
    file_rows([row])
    file_rows([captured])
    file_rows([span(captured, captured.server_span_id, kind="SERVER", name="GET", attributes={"who": "uma"})])
    file_rows([line(captured, "uma")])
    page = page_of(as_role(Role.VIEWER), row)
    assert "uma" not in page
    assert "10.9.8.7" not in page
    for known in ("/users/{id}", "KeyError", "50.0 ms", "•••"):
        assert known in page


def test_another_apps_request_is_not_found(desk: Client, prod: Environment, bob: Tenant) -> None:
    row = file_whole_request(prod, NOON)
    other = observe(bob)
    assert desk.get(reverse("desk:request", args=[other.app_id, row.uuid])).status_code == 404
    assert desk.get(reverse("desk:request", args=[prod.app_id, uuid4()])).status_code == 404
    assert desk.get(reverse("desk:request", args=[10**12, row.uuid])).status_code == 404


def test_who_may_not_see_requests_is_refused(prod: Environment) -> None:
    row = file_whole_request(prod, NOON)
    client = Client()
    client.force_login(Staff.objects.create_user("new", password="a long one", is_staff=True))
    assert client.get(reverse("desk:request", args=[row.app_id, row.uuid])).status_code == 403


def test_a_request_costs_as_many_queries_however_much_is_known_of_it(desk: Client, prod: Environment) -> None:
    def cost(row: RequestLog) -> int:
        with counting_queries() as queries:
            page_of(desk, row)
        return len(queries)

    bare = request(prod, endpoint(prod.app, "GET /a"), NOON)
    file_rows([bare])
    page_of(desk, bare)
    rich = file_whole_request(prod, NOON)
    assert cost(bare) == cost(rich) <= 15


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"a":[1,"ü"]}', '{\n  "a": [\n    1,\n    "ü"\n  ]\n}'),
        ("not json", "not json"),
        ("[" * 100_000, "[" * 100_000),
        ("", ""),
        (None, None),
    ],
)
def test_json_is_told_by_the_line_and_all_else_as_it_was(body: str | None, shown: str | None) -> None:
    assert readable(body) == shown
