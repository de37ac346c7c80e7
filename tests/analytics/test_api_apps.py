"""Apitally's first reads: team, apps, consumers and endpoints, as its clients ask for them."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts import services as accounts
from analytics import services
from analytics.api.pages import Asked
from analytics.api.views import _consumers as _consumers_of
from analytics.models import App, Consumer, ConsumerGroup, Endpoint, Environment
from tests.cast import BY, Tenant
from tests.conftest import ApiClient
from tests.queries import counting_queries


@pytest.fixture
def app(alice: Tenant) -> App:
    return services.create_app(alice.account, by=BY, name="Shop", framework="FastAPI")


def _consumers(app: App, number: int) -> list[Consumer]:
    return [Consumer.objects.create(app=app, identifier=f"user-{each}") for each in range(number)]


def test_the_team_is_the_account_bare(api: ApiClient, alice: Tenant) -> None:
    answer = api.get("/v1/team", of=alice)
    assert answer.json() == {"id": alice.account.pk, "name": "Alice"}


def test_apps_have_all_that_the_client_requires(api: ApiClient, alice: Tenant, app: App) -> None:
    Environment.objects.create(app=app, name="prod", last_sync_at=datetime(2026, 6, 1, tzinfo=UTC))
    Environment.objects.create(app=app, name="dev")
    second = services.create_app(alice.account, by=BY, name="Shop")
    answer = api.get("/v1/apps", of=alice).json()
    shown = answer["data"][0]
    assert (answer["has_more"], answer["next_token"]) == (False, None)
    assert [each["id"] for each in answer["data"]] == [app.pk, second.pk]
    assert (shown["name"], shown["framework"], shown["client_id"]) == ("Shop", "FastAPI", str(app.client_id))
    assert [(env["name"], env["last_sync_at"]) for env in shown["envs"]] == [
        ("prod", "2026-06-01T00:00:00Z"),
        ("dev", None),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", shown["created_at"])


def test_an_apps_environments_are_in_the_order_of_their_ids(api: ApiClient, alice: Tenant, app: App) -> None:
    made = [Environment.objects.create(app=app, name=name) for name in ("prod", "dev", "test")]
    for environment in made[:2]:
        environment.name += "-2"
        environment.save()  # which moves its row behind the others', in its index too
    (shown,) = api.get("/v1/apps", of=alice).json()["data"]
    assert [env["id"] for env in shown["envs"]] == [environment.pk for environment in made]


# --- consumers ----------------------------------------------------------------------------------------------------
def test_a_consumer_always_has_a_name_and_a_last_request(api: ApiClient, alice: Tenant, app: App) -> None:
    group = ConsumerGroup.objects.create(app=app, name="Admins")
    named = Consumer.objects.create(app=app, identifier="a@example.com", name="Ann", group=group)
    Consumer.objects.create(app=app, identifier="b", last_request_at=datetime(2026, 6, 1, tzinfo=UTC))
    newest, oldest = api.get(f"/v1/apps/{app.pk}/consumers", of=alice).json()["data"]
    assert (newest["name"], newest["group"], newest["last_request_at"]) == ("b", None, "2026-06-01T00:00:00Z")
    assert (oldest["id"], oldest["name"], oldest["group"]) == (named.pk, "Ann", {"id": group.pk, "name": "Admins"})
    assert oldest["last_request_at"] == oldest["created_at"]


def test_consumers_are_paged_newest_first_each_once(api: ApiClient, alice: Tenant, app: App) -> None:
    made = _consumers(app, 7)
    seen: list[int] = []
    query = "limit=3"
    while query:
        page = api.get(f"/v1/apps/{app.pk}/consumers?{query}", of=alice).json()
        seen += [consumer["id"] for consumer in page["data"]]
        assert page["has_more"] == (page["next_token"] is not None)
        query = f"limit=2&next_token={page['next_token']}" if page["has_more"] else ""
    assert seen == [consumer.pk for consumer in reversed(made)]


@pytest.mark.parametrize(
    "since", ["2026-06-01T00:00:00Z", "2026-06-01T00:00:00.000000000%2B00:00", "2026-06-01T02:00:00+02:00"]
)
def test_consumers_since_counts_real_requests_alone(api: ApiClient, alice: Tenant, app: App, since: str) -> None:
    moment = datetime(2026, 6, 1, tzinfo=UTC)
    silent, at, before = _consumers(app, 3)
    Consumer.objects.filter(pk=at.pk).update(last_request_at=moment)
    Consumer.objects.filter(pk=before.pk).update(last_request_at=moment - timedelta(microseconds=1))
    shown = api.get(f"/v1/apps/{app.pk}/consumers?requests_since={since}", of=alice).json()["data"]
    assert [consumer["id"] for consumer in shown] == [at.pk]
    assert silent.created_at > moment


def test_a_token_carries_its_query_and_refuses_another(api: ApiClient, alice: Tenant, app: App) -> None:
    Consumer.objects.bulk_create(
        Consumer(app=app, identifier=str(each), last_request_at=timezone.now()) for each in range(3)
    )
    _consumers(app, 2)
    path = f"/v1/apps/{app.pk}/consumers"
    token = api.get(f"{path}?limit=1&requests_since=2026-06-01T00:00:00Z", of=alice).json()["next_token"]
    rest = api.get(f"{path}?next_token={token}", of=alice).json()["data"]
    repeated = api.get(f"{path}?next_token={token}&requests_since=2026-06-01T02:00:00%2B02:00", of=alice)
    other = api.get(f"{path}?next_token={token}&requests_since=2026-06-02T00:00:00Z", of=alice)
    assert (len(rest), repeated.json()["data"]) == (2, rest)
    assert (other.status_code, other.json()["detail"][0]["loc"]) == (422, ["query", "next_token"])


def test_tokens_that_are_forged_or_of_another_list_are_refused(
    api: ApiClient, alice: Tenant, bob: Tenant, app: App
) -> None:
    _consumers(app, 2)
    foreign = services.create_app(bob.account, by=BY, name="Shop")
    token = api.get(f"/v1/apps/{app.pk}/consumers?limit=1", of=alice).json()["next_token"]
    answers = [
        api.get(f"/v1/apps/{app.pk}/consumers?next_token={token}x", of=alice),
        api.get(f"/v1/apps/{app.pk}/consumers?next_token=a:b:c", of=alice),
        api.get(f"/v1/apps/{foreign.pk}/consumers?next_token={token}", of=bob),
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 422]


MANY_CONSUMERS = """
INSERT INTO analytics_consumer (app_id, identifier, name, attributes, told_at, created_at, last_request_at)
SELECT %s, n, '', '{}', '{}', %s, CASE WHEN n %% 10 > 0 THEN %s::timestamptz + n * interval '1 s' END
  FROM generate_series(1, 100000) AS n
"""


@pytest.mark.parametrize(
    "requests_since", [None, "2026-06-01T00:00:00Z", "2026-06-02T03:46:00Z", "2026-07-01T00:00:00Z"]
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_hundred_thousand_consumers_are_never_scanned(app: App, requests_since: str | None, is_first: bool) -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    with connection.cursor() as cursor:
        cursor.execute(MANY_CONSUMERS, [app.pk, start, start])
        cursor.execute("ANALYZE analytics_consumer")
    middle = Consumer.objects.order_by("id")[50_000].pk
    query = {"requests_since": requests_since} if requests_since else {}
    plan = _consumers_of(app, Asked("", 100, query, [] if is_first else [middle]))[:101].explain()
    assert re.search(r"Index Scan( Backward)? using \w+ on analytics_consumer|Bitmap Index Scan on consumer_", plan), (
        plan
    )
    assert "Seq Scan on analytics_consumer " not in plan


# --- endpoints ----------------------------------------------------------------------------------------------------
def test_endpoints_are_ordered_and_the_unmatched_is_none(api: ApiClient, alice: Tenant, app: App) -> None:
    for method, path in (("POST", "/b"), ("GET", "/b"), ("GET", "/a"), ("GET", "")):
        Endpoint.objects.create(app=app, method=method, path=path)
    answer = api.get(f"/v1/apps/{app.pk}/endpoints", of=alice).json()
    assert [(each["method"], each["path"]) for each in answer["data"]] == [("GET", "/a"), ("GET", "/b"), ("POST", "/b")]
    assert (answer["has_more"], answer["next_token"]) == (False, None)


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("path=/v1/*", ["/v1/a%b", "/v1/users"]),
        ("path=*users*", ["/users", "/v1/users"]),
        ("path=/v1/a%25b", ["/v1/a%b"]),
        ("path=/v1/a_b", []),
        ("path=/V1/*", []),
        ("path=*", ["/users", "/v1/a%b", "/v1/users"]),
        ("method=get", ["/users", "/v1/users"]),
        ("method=POST,%20GET&path=/v1*", ["/v1/a%b", "/v1/users"]),
        ("method=&path=", ["/users", "/v1/a%b", "/v1/users"]),
        ("unknown=1", ["/users", "/v1/a%b", "/v1/users"]),
    ],
)
def test_endpoints_are_found_by_method_and_pattern(
    api: ApiClient, alice: Tenant, app: App, query: str, paths: list[str]
) -> None:
    for method, path in (("GET", "/users"), ("GET", "/v1/users"), ("POST", "/v1/a%b"), ("GET", "")):
        Endpoint.objects.create(app=app, method=method, path=path)
    shown = api.get(f"/v1/apps/{app.pk}/endpoints?{query}", of=alice).json()["data"]
    assert [endpoint["path"] for endpoint in shown] == paths


def test_endpoints_of_an_environment(api: ApiClient, alice: Tenant, bob: Tenant, app: App) -> None:
    environment = Environment.objects.create(app=app, name="prod")
    foreign = Environment.objects.create(app=services.create_app(bob.account, by=BY, name="x"), name="prod")
    Endpoint.objects.create(app=app, method="GET", path="/here").environments.add(environment)
    Endpoint.objects.create(app=app, method="GET", path="/elsewhere")
    path = f"/v1/apps/{app.pk}/endpoints?app_env_id="
    assert [each["path"] for each in api.get(f"{path}{environment.pk}", of=alice).json()["data"]] == ["/here"]
    assert api.get(f"{path}{foreign.pk}", of=alice).json()["data"] == []


# --- whose, how often, and what is wrong --------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["consumers", "endpoints"])
def test_a_neighbours_app_is_not_there(api: ApiClient, bob: Tenant, app: App, path: str) -> None:
    answer = api.get(f"/v1/apps/{app.pk}/{path}", of=bob)
    assert answer.status_code == 404
    assert answer.json() == {"error": "App not found", "code": "NOT_FOUND", "detail": "App not found"}
    assert api.get("/v1/apps", of=bob).json()["data"] == []


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("consumers?limit=0", ["query", "limit"]),
        ("consumers?limit=1001", ["query", "limit"]),
        ("consumers?limit=x", ["query", "limit"]),
        ("consumers?requests_since=yesterday", ["query", "requests_since"]),
        (f"consumers?next_token={'x' * 1025}", ["query", "next_token"]),
        ("endpoints?app_env_id=0", ["query", "app_env_id"]),
        (f"endpoints?app_env_id={2**31}", ["query", "app_env_id"]),
        (f"endpoints?method={'x' * 65}", ["query", "method"]),
        (f"endpoints?path={'x' * 1025}", ["query", "path"]),
    ],
)
def test_a_wrong_parameter_is_named(api: ApiClient, alice: Tenant, app: App, path: str, place: list[str]) -> None:
    answer = api.get(f"/v1/apps/{app.pk}/{path}", of=alice)
    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert answer.json()["detail"][0]["loc"] == place


@pytest.mark.parametrize("app_id", ["0", str(2**31), str(2**70)])
def test_a_number_that_is_no_id_is_unprocessable(api: ApiClient, alice: Tenant, app_id: str) -> None:
    answer = api.get(f"/v1/apps/{app_id}/consumers", of=alice)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["path", "app_id"])


@pytest.mark.parametrize("path", ["/v1/apps/x", "/v1/apps/1/nothing", "/v1/team/", "/v1/apps/"])
def test_an_unknown_path_is_answered_in_apitallys_shape(api: ApiClient, alice: Tenant, path: str) -> None:
    answer = api.get(path, of=alice)
    assert answer.status_code == 404
    assert answer.json() == {"error": "Not found", "code": "NOT_FOUND", "detail": "Not found"}


def test_without_a_key_the_answer_has_a_detail_and_no_budget(api: ApiClient) -> None:
    answer = api.get("/v1/apps")
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert answer.json()["detail"] == answer.json()["error"]
    assert "X-RateLimit-Limit" not in answer.headers


def test_the_two_budgets_of_a_key_are_apart(api: ApiClient, alice: Tenant) -> None:
    accounts.update_access_key(alice.access_key, by=BY, requests_per_minute=5, analytics_requests_per_minute=2)
    limitly = [api.get("/v1/plans", of=alice) for _ in range(2)]
    analytics = [api.get("/v1/team", of=alice) for _ in range(3)]
    again = api.get("/v1/plans", of=alice)
    assert [answer.headers["X-RateLimit-Remaining"] for answer in limitly] == ["4", "3"]
    assert [answer.status_code for answer in analytics] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in analytics] == ["1", "0", "0"]
    assert {int(answer.headers["X-RateLimit-Reset"]) % 60 for answer in analytics} == {0}
    assert [answer.headers["X-RateLimit-Limit"] for answer in analytics] == ["2", "2", "2"]
    assert 1 <= int(analytics[2].headers["Retry-After"]) <= 60
    assert (again.status_code, again.headers["X-RateLimit-Remaining"]) == (200, "2")


def test_scopes_keep_the_two_apis_apart(api: ApiClient, alice: Tenant) -> None:
    accounts.update_access_key(alice.access_key, by=BY, scopes=["limitly"])
    assert api.get("/v1/plans", of=alice).status_code == 200
    refused = api.get("/v1/team", of=alice)
    accounts.update_access_key(alice.access_key, by=BY, scopes=["analytics"])
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
    assert refused.headers["X-RateLimit-Remaining"] == "-1"
    assert api.get("/v1/team", of=alice).status_code == 200
    assert api.get("/v1/plans", of=alice).status_code == 403


@pytest.mark.parametrize("path", ["/v1/apps", "/v1/apps/{}/consumers", "/v1/apps/{}/endpoints"])
def test_a_list_costs_the_same_however_long(api: ApiClient, alice: Tenant, app: App, path: str) -> None:
    def cost() -> int:
        with counting_queries() as queries:
            assert api.get(path.format(app.pk), of=alice).status_code == 200
        return len(queries)

    def fill(letter: str) -> None:
        group = ConsumerGroup.objects.create(app=app, name=letter)
        Consumer.objects.create(app=app, identifier=letter, group=group)
        Endpoint.objects.create(app=app, method="GET", path=f"/{letter}")
        Environment.objects.create(app=services.create_app(alice.account, by=BY, name=letter), name=letter)

    fill("a")
    few = cost()
    for letter in "bcdef":
        fill(letter)
    assert cost() == few <= 4
