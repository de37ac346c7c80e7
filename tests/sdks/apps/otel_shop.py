"""A Flask shop in three forked workers, observed by an OpenTelemetry SDK with default settings: it knows nothing of us.

OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS and OTEL_SEMCONV_STABILITY_OPT_IN come from the environment.
Each worker makes its calls to itself, through its own WSGI application, and ends by flushing.
"""

import os
import sys

from flask import Flask, request
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

WORKERS, CALLS_EACH = 3, 20


def work():
    """One worker: its own providers, made after the fork as every pre-forking server does."""
    traces = TracerProvider()
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(traces)
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=300)])
    metrics.set_meter_provider(meters)
    app = Flask("shop")
    FlaskInstrumentor().instrument_app(app)

    @app.get("/users/<int:user_id>")
    def read_user(user_id):
        trace.get_current_span().set_attribute("user.id", request.headers["x-user"])
        return {"id": user_id}

    @app.get("/teapot")
    def teapot():
        return {"short": True}, 418

    client = app.test_client()
    for number in range(CALLS_EACH):
        if number == CALLS_EACH // 2:
            meters.force_flush()  # a second cumulative point must add what is new, no more
        client.get(f"/users/{number}", headers={"x-user": f"user-{number % 2}"})
    client.get("/teapot")
    client.get("/missing")
    traces.shutdown()
    meters.shutdown()


def main():
    children = []
    for _ in range(WORKERS):
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    sys.exit(any(statuses))


if __name__ == "__main__":
    main()
