"""The shapes of what analytics.api.shown shows, for the OpenAPI document: names, types and what may be null."""

from typing import Any

from rest_framework import serializers


class PeriodShape(serializers.Serializer[Any]):
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    requests = serializers.IntegerField()
    bytes_received = serializers.IntegerField()
    bytes_sent = serializers.IntegerField()
