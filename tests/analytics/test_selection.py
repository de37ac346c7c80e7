"""What a query means, resolved to ids: routes by pattern, statuses by class among those on file."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics import selection
from analytics.models import Environment
from analytics.selection import Chosen, Selection
from tests.analytics.filed import endpoint, file_rows, observe, request
from tests.cast import Tenant

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def prod(alice: Tenant) -> Environment:
    return observe(alice)


def test_routes_are_chosen_by_method_and_pattern(prod: Environment) -> None:
    get, post = endpoint(prod.app, "GET /users"), endpoint(prod.app, "POST /users")
    endpoint(prod.app, "GET /health", is_excluded=True)
    unmatched = endpoint(prod.app, "GET")
    assert selection.choose_endpoints(prod.app, path="/u*") == Chosen([get.pk, post.pk], known=3)
    assert selection.choose_endpoints(prod.app, path="*") == Chosen([get.pk, post.pk], known=3)
    assert selection.choose_endpoints(prod.app, methods=["GET"]) == Chosen([get.pk, unmatched.pk], known=3)
    assert selection.choose_endpoints(prod.app, methods=["GET"], path="/health") == Chosen([], known=3)


def test_environments_and_consumers_of_another_app_are_none(prod: Environment, bob: Tenant) -> None:
    foreign = observe(bob)
    assert selection.environments_of(prod.app, foreign.pk) == []
    assert selection.environments_of(prod.app) == [prod]
    consumer = foreign.app.consumers.create(identifier="c")
    assert not selection.is_consumer_of(prod.app, consumer.pk)


def test_statuses_on_file_are_those_of_the_days_in_range(prod: Environment, bob: Tenant) -> None:
    route, foreign = endpoint(prod.app, "GET /a"), observe(bob)
    rows = [request(prod, route, NOON, status_code=status) for status in (404, 200, 201, 200, 0)]
    rows += [request(prod, route, NOON - DAY, status_code=500), request(prod, route, NOON + DAY, status_code=502)]
    rows += [request(foreign, endpoint(foreign.app, "GET /a"), NOON, status_code=418)]
    file_rows(rows)
    assert selection.statuses_on_file(prod.app, start=NOON, end=NOON + timedelta(hours=1)) == [0, 200, 201, 404]
    assert selection.statuses_on_file(prod.app, start=NOON - DAY, end=NOON) == [0, 200, 201, 404, 500]
    assert selection.statuses_on_file(prod.app, start=NOON + 5 * DAY, end=NOON + 6 * DAY) == []


def test_statuses_are_chosen_by_code_and_class() -> None:
    on_file = [0, 200, 204, 404, 422, 500]
    assert selection.choose_statuses(["2xx", "404", "503"], on_file=on_file) == Chosen([200, 204, 404], known=6)
    assert selection.choose_statuses(["0"], on_file=on_file) == Chosen([0], known=6)
    assert selection.status_names(" 2XX,400,, 2xx") == ["2xx", "400"]


@pytest.mark.parametrize("text", ["", ",", "6xx", "0xx", "2x", "20", "1000", "abc", "2xx;400", "-200", "²00"])
def test_a_bad_status_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="separated by commas"):
        selection.status_names(text)


def test_a_selection_with_an_empty_list_matches_nothing(prod: Environment) -> None:
    assert not Selection(prod.app_id, [prod]).is_empty
    assert Selection(prod.app_id, []).is_empty
    assert Selection(prod.app_id, [prod], endpoints=Chosen([], 3)).is_empty
    assert Selection(prod.app_id, [prod], statuses=Chosen([], 3)).is_empty


def test_a_selection_as_sql_names_what_was_asked_alone(prod: Environment) -> None:
    whole = Selection(prod.app_id, [prod], excluded=(7,), consumer_id=5, statuses=Chosen([200], 3))
    assert Selection(prod.app_id, [prod]).predicate() == ("TRUE", [])
    assert whole.predicate() == (
        "TRUE AND endpoint_id <> ALL(%s) AND consumer_id = %s AND status_code = ANY(%s)",
        [[7], 5, [200]],
    )


def test_traffic_of_another_apps_environment_or_consumer_is_none(prod: Environment, bob: Tenant) -> None:
    health = endpoint(prod.app, "GET /health", is_excluded=True)
    foreign = observe(bob)
    own, other = prod.app.consumers.create(identifier="c"), foreign.app.consumers.create(identifier="c")
    found = selection.select_traffic(prod.app, environment_id=prod.pk, consumer_id=own.pk)
    assert found == Selection(prod.app_id, [prod], excluded=(health.pk,), consumer_id=own.pk)
    assert selection.select_traffic(prod.app, environment_id=foreign.pk) is None
    assert selection.select_traffic(prod.app, consumer_id=other.pk) is None


def test_requests_are_selected_by_all_that_was_asked(prod: Environment) -> None:
    route = endpoint(prod.app, "GET /a")
    endpoint(prod.app, "GET /health", is_excluded=True)
    file_rows([request(prod, route, NOON)])
    found = selection.select_requests(
        prod.app, start=NOON, end=NOON + DAY, consumer_id=3, methods=["GET"], path="/*", statuses=["2xx", "5xx"]
    )
    expected = Selection(prod.app_id, [prod], Chosen([route.pk], 1), consumer_id=3, statuses=Chosen([200], 1))
    assert found == expected
