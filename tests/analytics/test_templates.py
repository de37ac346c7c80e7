"""Raw paths become endpoints that can be counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.templates import Templates, _is_parameter, template_of


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("", ""),
        ("/orders", "/orders"),
        ("/orders/17", "/orders/{id}"),
        ("/orders/17/", "/orders/{id}/"),
        ("/orders/17?page=2#top", "/orders/{id}"),
        ("/orders#17", "/orders"),
        ("/v1/orders/v2", "/v1/orders/v2"),
        ("/o/7f9c24e8-3b12-4a6f-8d2e-1c5b7a9e0f34", "/o/{uuid}"),
        ("/o/7F9C24E83B124A6F8D2E1C5B7A9E0F34", "/o/{uuid}"),
        ("/commits/0123456789abcdef", "/commits/{hash}"),
        ("/commits/0123456789abcde", "/commits/0123456789abcde"),
        ("/users/ann@example.com/keys", "/users/{email}/keys"),
        ("/users/ann%40example.com", "/users/{email}"),
        ("/t/sk_live_0aZ9kLmNopQrStUvWx", "/t/{token}"),
        ("/articles/how-to-count-exactly-and-fast", "/articles/how-to-count-exactly-and-fast"),
        ("/zahl/٣", "/zahl/٣"),
    ],
)
def test_telling_segments_are_replaced(path: str, template: str) -> None:
    assert template_of(path) == template


@pytest.mark.parametrize("route", ["/users/{user_id}", "/users/:userId", "/users/<int:id>", "/users/<id>"])
def test_a_route_of_the_app_wins_as_it_spells_it(route: str) -> None:
    assert template_of("/users/ann?x=1", [route, "/users", "/users/{a}/{b}"]) == route


def test_a_literal_wins_over_a_parameter_from_the_left() -> None:
    routes = ["/{a}/me", "/users/{id}", "/users/me", "/{a}/{b}"]
    assert template_of("/users/me", routes) == "/users/me"
    assert template_of("/users/7", routes) == "/users/{id}"
    assert template_of("/teams/me", routes) == "/{a}/me"


def test_no_route_matches_an_empty_or_a_further_segment() -> None:
    assert template_of("/users/", ["/users/{id}"]) == "/users/"
    assert template_of("/users/7/keys", ["/users/{id}"]) == "/users/{id}/keys"


def test_a_template_stays_what_it_is() -> None:
    for path in ("/orders/17", "/o/7f9c24e8-3b12-4a6f-8d2e-1c5b7a9e0f34", "/users/ann@example.com"):
        assert template_of(template_of(path)) == template_of(path)


def test_an_override_goes_before_a_route_and_before_what_a_segment_tells() -> None:
    templates = Templates(["/users/me", "/shops/{id}"], overrides=["/shops/{slug}/items", "/{section}/me"])
    assert templates.of("/users/me") == "/{section}/me"
    assert templates.of("/shops/7/items?page=1") == "/shops/{slug}/items"
    assert templates.of("/shops/7") == "/shops/{id}"
    assert templates.of("/carts/7") == "/carts/{id}"


parts = st.sampled_from(["a", "b", "", "{x}", ":y", "<int:z>", "7"])
routes = st.lists(st.lists(parts, max_size=4).map("/".join), max_size=12)


@given(routes, st.lists(st.sampled_from(["a", "b", "", "7", "c"]), max_size=4).map("/".join))
def test_the_route_is_the_least_of_those_that_match(known: list[str], path: str) -> None:
    """The rule as it is said, of all routes one by one."""
    segments = path.split("/")
    matching = [
        route
        for route in known
        if len(route.split("/")) == len(segments)
        and all(a == b or (b and _is_parameter(a)) for a, b in zip(route.split("/"), segments, strict=True))
    ]
    if matching:
        expected = min(matching, key=lambda route: ([_is_parameter(part) for part in route.split("/")], route))
        assert Templates(known).of(path) == expected
    else:
        assert Templates(known).of(path) == template_of(path)


def test_a_thousand_routes_of_many_segments_answer_five_thousand_paths_without_recursion() -> None:
    deep = "/".join(["", *["{x}"] * 250])
    templates = Templates([deep, *(f"/v{number}/{{a}}/x" for number in range(1000))])
    assert templates.of("/".join(["", *["seg"] * 250])) == deep
    assert {templates.of(f"/v7/{number}/x") for number in range(5000)} == {"/v7/{a}/x"}
