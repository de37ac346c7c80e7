"""How apps, endpoints and consumers are shown."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from accounts.models import Account
from analytics.models import App, Consumer, ConsumerGroup, Endpoint, Environment


class TeamSerializer(serializers.ModelSerializer[Account]):
    class Meta:
        model = Account
        fields = ["id", "name"]


class EnvironmentSerializer(serializers.ModelSerializer[Environment]):
    class Meta:
        model = Environment
        fields = ["id", "name", "created_at", "last_sync_at"]


class AppSerializer(serializers.ModelSerializer[App]):
    envs = EnvironmentSerializer(source="environments", many=True)

    class Meta:
        model = App
        fields = ["id", "name", "framework", "client_id", "envs", "created_at"]


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    class Meta:
        model = Endpoint
        fields = ["id", "method", "path"]


class ConsumerGroupSerializer(serializers.ModelSerializer[ConsumerGroup]):
    class Meta:
        model = ConsumerGroup
        fields = ["id", "name"]


class ConsumerSerializer(serializers.ModelSerializer[Consumer]):
    """Apitally's client cannot read a null as `last_request_at`: who made none yet shows when it was first named."""

    name = serializers.CharField(source="shown_name")
    group = ConsumerGroupSerializer(allow_null=True)
    last_request_at = serializers.SerializerMethodField()

    class Meta:
        model = Consumer
        fields = ["id", "identifier", "name", "group", "created_at", "last_request_at"]

    def get_last_request_at(self, consumer: Consumer) -> datetime:
        field = serializers.DateTimeField()
        shown: Any = field.to_representation(consumer.last_request_at or consumer.created_at)
        moment: datetime = shown
        return moment
