"""Peer (a): Django REST framework, djangorestframework-api-key for the keys, DRF's own throttle counting in Redis.

`python drf_peer.py migrate` and `python drf_peer.py issue N` prepare it; `drf_peer:application` serves it.
"""

import json
import os
import sys
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application

database = urlsplit(os.environ["PEER_DATABASE_URL"])
settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "rest_framework_api_key"],
    MIDDLEWARE=[],
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": database.path.lstrip("/"),
            "USER": database.username,
            "HOST": unquote(parse_qs(database.query)["host"][0]),
            "CONN_MAX_AGE": None,
        }
    },
    CACHES={
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["PEER_REDIS_URL"]}
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    },
)
django.setup()

from django.core.management import execute_from_command_line
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView
from rest_framework_api_key.models import APIKey
from rest_framework_api_key.permissions import HasAPIKey, KeyParser


class PerKey(SimpleRateThrottle):
    """The documented way: one rate, counted for each key. It keeps a list of instants, so the limit stays modest."""

    rate = "100000/day"
    scope = "key"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return f"throttle_{KeyParser().get(request)}"


class Validate(APIView):
    permission_classes = [HasAPIKey]
    throttle_classes = [PerKey]

    def post(self, request: Request) -> Response:
        return Response({"success": True, "endpoint": request.data["endpoint"]})


urlpatterns = [path("validate", Validate.as_view())]
application: Any = get_wsgi_application()

if __name__ == "__main__":
    if sys.argv[1] == "issue":
        keys = [APIKey.objects.create_key(name=f"key {number}")[1] for number in range(int(sys.argv[2]))]
        print(json.dumps(keys))
    else:
        execute_from_command_line(sys.argv)
