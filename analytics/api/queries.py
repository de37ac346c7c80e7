"""What may stand in the query of each list: names, forms and bounds."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from accounts.api.fields import Moment
from accounts.zones import zone_named
from analytics.paging import TOKEN_LENGTH
from analytics.periods import Interval
from analytics.selection import status_names

ID_MAX = 2**31 - 1
LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
ZONE_LENGTH, METHOD_LENGTH, PATH_LENGTH, STATUS_LENGTH = 64, 64, 1024, 128
INTERVALS = (Interval.HOUR, Interval.DAY)
OLD_INTERVALS = {"hours": Interval.HOUR, "days": Interval.DAY}


class Id(serializers.IntegerField):
    """A positive number below 2^31."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=ID_MAX, **options)


class QueryMoment(Moment):
    """An ISO 8601 time; of a fraction of a second, six digits count. A `+` that arrived as a space is one."""

    def to_internal_value(self, data: Any) -> datetime:
        day, t, time = str(data).upper().partition("T")  # RFC 3339 knows `t` and `z`, too
        return super().to_internal_value(_microseconds(day + t + time.replace(" ", "+"))).astimezone(UTC)


class LocalMoment(QueryMoment):
    """One without zone is of the query's: give it as `zone` in the form's context.

    A local time that occurs twice is its first; one that does not exist is read as if the clocks had not changed yet.
    """

    def enforce_timezone(self, value: datetime) -> datetime:
        return super().enforce_timezone(value if value.tzinfo else value.replace(tzinfo=self.context["zone"]))


class Zone(serializers.CharField):
    """An IANA zone by name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=ZONE_LENGTH, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        name = super().run_validation(data)
        zone = zone_named(name)
        if zone is None:
            raise serializers.ValidationError("Give a zone of the IANA database, such as America/New_York.")
        return zone


class RouteQuery(serializers.Serializer[Any]):
    method = serializers.CharField(required=False, max_length=METHOD_LENGTH, help_text="`GET,POST`")
    path = serializers.CharField(required=False, max_length=PATH_LENGTH, trim_whitespace=False)

    def validate_method(self, names: str) -> list[str]:
        return sorted({name.strip().upper() for name in names.split(",") if name.strip()})


class EndpointQuery(RouteQuery):
    app_env_id = Id(required=False)


class PageQuery(serializers.Serializer[Any]):
    limit = serializers.IntegerField(default=LIMIT_DEFAULT, min_value=1, max_value=LIMIT_MAX)
    next_token = serializers.CharField(required=False, max_length=TOKEN_LENGTH)


class ConsumerQuery(PageQuery):
    requests_since = QueryMoment(required=False)


class RangeQuery(PageQuery):
    app_env_id = Id(required=False)
    consumer_id = Id(required=False)
    timezone = Zone(required=False)
    start = LocalMoment(required=False)
    end = LocalMoment(required=False)


class TrafficQuery(RangeQuery):
    """`intervals` is what older clients say for `interval`, which wins."""

    interval = serializers.ChoiceField(required=False, choices=list(INTERVALS))
    intervals = serializers.ChoiceField(required=False, choices=list(OLD_INTERVALS))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if old := attrs.pop("intervals", None):
            attrs.setdefault("interval", OLD_INTERVALS[old].value)
        return attrs


class RequestLogQuery(RouteQuery, RangeQuery):
    status_code = serializers.CharField(required=False, max_length=STATUS_LENGTH, help_text="`2xx,400`")

    def validate_status_code(self, text: str) -> list[str]:
        try:
            return status_names(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


def _microseconds(text: str) -> str:
    """Apitally's own client sends nanoseconds, which Python's parser refuses."""
    whole, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{whole}{dot}{digits[:6]}{rest[len(digits) :]}" if dot else text
