"""Fields that take a value as JSON spells it, and say in a sentence what they want."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


class Text(serializers.CharField):
    """A JSON string without control characters."""

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Give a string.")
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in data):
            raise serializers.ValidationError("It holds control characters or half of a surrogate pair.")
        return super().to_internal_value(data)


class WholeNumber(serializers.IntegerField):
    """A JSON number without fraction; not a string, not a boolean."""

    def to_internal_value(self, data: object) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            raise serializers.ValidationError("Give a whole number.")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    def to_internal_value(self, data: object) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("Give true or false.")
        return data


class Choice(serializers.ChoiceField):
    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str) or data not in self.choices:
            raise serializers.ValidationError(f"Give one of {', '.join(map(str, self.choices))}.")
        return data


class Moment(serializers.DateTimeField):
    """An ISO 8601 time of the years 1970 to 2999; one without zone is UTC."""

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str):
            raise serializers.ValidationError("Give an ISO 8601 time.")
        try:
            moment = super().to_internal_value(data).astimezone(UTC)
        except OverflowError:
            raise serializers.ValidationError("Give a time of the years 1970 to 2999.") from None
        if not EARLIEST <= moment < LATEST:
            raise serializers.ValidationError("Give a time of the years 1970 to 2999.")
        return moment


class ClearableMoment(Moment):
    """`""` clears it."""

    def to_internal_value(self, data: Any) -> datetime | None:  # type: ignore[override]  # cleared is None
        return None if data == "" else super().to_internal_value(data)
