"""A Django REST framework shop under wsgiref, observed by either generation of the Apitally SDK."""

import os
import threading
from importlib.metadata import version
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
import shop
from django.conf import settings
from django.urls import path

IS_FIRST_GENERATION = version("apitally").startswith("0.")

if IS_FIRST_GENERATION:
    from apitally.otel import span
else:
    import apitally
    from apitally import span


def first_generation():
    return {
        "MIDDLEWARE": ["apitally.django_rest_framework.ApitallyMiddleware"],
        "APITALLY_MIDDLEWARE": {
            "client_id": os.environ["SHOP_CLIENT_ID"],
            "env": "dev",
            "app_version": "1.2.3",
            "enable_request_logging": True,
            "log_request_headers": True,
            "log_request_body": True,
            "log_response_body": True,
            "capture_logs": True,
            "capture_traces": True,
            "consumer_callback": "__main__.consumer_of",
        },
    }


def consumer_of(request):
    identifier = request.headers.get("x-user")
    if not identifier:
        return None
    from apitally.django import ApitallyConsumer

    name, group = shop.PEOPLE[identifier]
    return ApitallyConsumer(identifier, name=name, group=group or None)


settings.configure(
    SECRET_KEY="of a test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["rest_framework"],
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
    LOGGING_CONFIG=None,
    **(first_generation() if IS_FIRST_GENERATION else {}),
)
if not IS_FIRST_GENERATION:
    apitally.init(
        env="dev",
        app_version="1.2.3",
        capture_request_headers=True,
        capture_request_body=True,
        capture_response_body=True,
    )
django.setup()

from django.core.wsgi import get_wsgi_application
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.response import Response


class OrderSerializer(serializers.Serializer):
    item = serializers.CharField()
    qty = serializers.IntegerField()
    password = serializers.CharField(required=False)


def tell_consumer(request):
    identifier = request.headers.get("x-user")
    if identifier and not IS_FIRST_GENERATION:
        name, group = shop.PEOPLE[identifier]
        apitally.set_consumer(identifier, name=name, group=group or None)


@api_view(["GET"])
def read_user(request, user_id):
    tell_consumer(request)
    return Response({"id": user_id, "name": "Uma"})


@api_view(["POST"])
def create_order(request):
    tell_consumer(request)
    order = OrderSerializer(data=request.data)
    order.is_valid(raise_exception=True)
    shop.logger.warning("order of %s", order.validated_data["item"])
    with span("warehouse.reserve"):
        return Response({"ok": True, "token": "t-1"}, status=201)


@api_view(["GET"])
def boom(request):
    tell_consumer(request)
    raise ValueError("kaboom")


urlpatterns = [path("users/<int:user_id>", read_user), path("orders", create_order), path("boom", boom)]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main():
    port = int(os.environ["SHOP_PORT"])
    server = make_server("127.0.0.1", port, get_wsgi_application(), handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    shop.drive(f"http://127.0.0.1:{port}")
    server.shutdown()
    thread.join()


if __name__ == "__main__":
    main()  # the process's end sends what is left
