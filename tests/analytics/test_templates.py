"""Raw paths become endpoints that can be counted."""

import pytest

from analytics.templates import template_of


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
