"""The shapes of what analytics.api.shown shows, for the OpenAPI document: names, types and what may be null."""

from typing import Any

from rest_framework import serializers


class PeriodShape(serializers.Serializer[Any]):
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    requests = serializers.IntegerField()
    bytes_received = serializers.IntegerField()
    bytes_sent = serializers.IntegerField()


class RequestLogShape(serializers.Serializer[Any]):
    timestamp = serializers.DateTimeField()
    request_uuid = serializers.UUIDField()
    env = serializers.CharField(allow_null=True)
    consumer = serializers.CharField(allow_null=True, help_text="its identifier")
    consumer_id = serializers.IntegerField(allow_null=True)
    method = serializers.CharField()
    path = serializers.CharField(allow_null=True, help_text="the route; null where none matched")
    url = serializers.CharField()
    status_code = serializers.IntegerField()
    request_size_bytes = serializers.IntegerField()
    response_size_bytes = serializers.IntegerField()
    response_time_ms = serializers.IntegerField()
    client_ip = serializers.CharField(allow_null=True)
    client_country_iso_code = serializers.CharField(allow_null=True)


class ExceptionShape(serializers.Serializer[Any]):
    type = serializers.CharField(allow_null=True)
    message = serializers.CharField(allow_null=True)
    stacktrace = serializers.CharField(allow_null=True)
    sentry_event_id = serializers.CharField(allow_null=True)


class LogLineShape(serializers.Serializer[Any]):
    timestamp = serializers.DateTimeField()
    message = serializers.CharField()
    level = serializers.CharField(allow_null=True)
    logger = serializers.CharField(allow_null=True)
    file = serializers.CharField(allow_null=True)
    line = serializers.IntegerField(allow_null=True)


class SpanShape(serializers.Serializer[Any]):
    span_id = serializers.CharField()
    parent_span_id = serializers.CharField(allow_null=True, help_text="null where it is not among these spans")
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=["SERVER", "CLIENT", "INTERNAL", "PRODUCER", "CONSUMER"])
    start_time_ns = serializers.IntegerField()
    end_time_ns = serializers.IntegerField()
    duration_ns = serializers.IntegerField()
    status = serializers.ChoiceField(choices=["OK", "ERROR", "UNSET"])
    attributes = serializers.DictField()


class RequestDetailsShape(RequestLogShape):
    request_headers = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    response_headers = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    request_body_json = serializers.CharField(allow_null=True, help_text="the text of the body")
    response_body_json = serializers.CharField(allow_null=True, help_text="the text of the body")
    trace_id = serializers.CharField(allow_null=True)
    exception = ExceptionShape(allow_null=True)
    logs = LogLineShape(many=True)
    spans = SpanShape(many=True)
