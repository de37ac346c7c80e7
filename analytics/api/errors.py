"""Errors as Apitally's clients read them: `detail` is a sentence, or a list of places and what is wrong there."""

from collections.abc import Iterator
from typing import Any

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.response import Response

from accounts.api.errors import answer_exception as answer_limitly
from analytics.paging import BadToken


class Unprocessable(ValidationError):
    """What the query, the path or the body holds cannot be used; `place` says which of the three."""

    status_code = 422

    def __init__(self, detail: Any, *, place: str = "query") -> None:
        super().__init__(detail)
        self.place = place


def answer_exception(error: Exception, context: dict[str, Any]) -> Response:
    if isinstance(error, BadToken):
        error = Unprocessable({"next_token": [str(error)]})
    if isinstance(error, ParseError):  # 400 in Limitly's own API
        error = Unprocessable([error.detail], place="body")
    if isinstance(error, ValidationError):
        place = error.place if isinstance(error, Unprocessable) else "body"
        found = [_found([place, *names], said) for names, said in _by_place(error.detail)]
        shape = {"error": found[0]["msg"], "code": "VALIDATION_ERROR", "detail": found}
        return Response(shape, status=422)
    return answer_limitly(error, context)


def _found(place: list[str], said: Any) -> dict[str, Any]:
    return {"loc": place, "msg": str(said), "type": getattr(said, "code", "invalid")}


def _by_place(detail: Any) -> Iterator[tuple[list[str], Any]]:
    """What is said, with the names that lead to it: the detail of a field within a field is nested as they are."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            here = [] if name == "non_field_errors" else [str(name)]
            for names, said in _by_place(inner):
                yield [*here, *names], said
    elif isinstance(detail, list):
        for inner in detail:
            yield from _by_place(inner)
    else:
        yield [], detail
