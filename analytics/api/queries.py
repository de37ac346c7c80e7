"""What may stand in the query of each list: names, forms and bounds."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from accounts.api.fields import Moment
from analytics.paging import TOKEN_LENGTH

ID_MAX = 2**31 - 1
LIMIT_DEFAULT, LIMIT_MAX = 100, 1000


class Id(serializers.IntegerField):
    """A positive number below 2^31."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=ID_MAX, **options)


class QueryMoment(Moment):
    """An ISO 8601 time; of a fraction of a second, six digits count. A `+` that arrived as a space is one."""

    def to_internal_value(self, data: Any) -> datetime:
        day, t, time = str(data).partition("T")
        return super().to_internal_value(_microseconds(day + t + time.replace(" ", "+"))).astimezone(UTC)


class EndpointQuery(serializers.Serializer[Any]):
    app_env_id = Id(required=False)
    method = serializers.CharField(required=False, max_length=64, help_text="`GET,POST`")
    path = serializers.CharField(required=False, max_length=1024, trim_whitespace=False)

    def validate_method(self, names: str) -> list[str]:
        return [name.strip().upper() for name in names.split(",") if name.strip()]


class PageQuery(serializers.Serializer[Any]):
    limit = serializers.IntegerField(default=LIMIT_DEFAULT, min_value=1, max_value=LIMIT_MAX)
    next_token = serializers.CharField(required=False, max_length=TOKEN_LENGTH)


class ConsumerQuery(PageQuery):
    requests_since = QueryMoment(required=False)


def _microseconds(text: str) -> str:
    """Apitally's own client sends nanoseconds, which Python's parser refuses."""
    whole, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{whole}{dot}{digits[:6]}{rest[len(digits) :]}" if dot else text
