"""What a chart of the desk hands to the script that draws it, and to who reads its table instead."""

import json
from datetime import UTC, datetime

from django.template.loader import render_to_string

from accounts.desk.charts import Chart, Kind, Row, Series

REQUESTS = Chart(
    title="Requests",
    labels=["10:00", "10:15"],
    series=[Series("allowed", [1200, None]), Series("denied", [0.25, 3])],
    kind=Kind.BARS,
    unit="requests",
    true_until=datetime(2026, 3, 1, 10, 20, 5, tzinfo=UTC),
)


def test_the_script_is_told_every_value_and_gaps_as_null() -> None:
    assert json.loads(REQUESTS.data) == {
        "kind": "bar",
        "isSample": False,
        "unit": "requests",
        "labels": ["10:00", "10:15"],
        "series": [{"name": "allowed", "values": [1200, None]}, {"name": "denied", "values": [0.25, 3]}],
    }


def test_the_table_tells_the_same_figures_for_people() -> None:
    assert REQUESTS.rows == [Row("10:00", ["1,200", "0.25"]), Row("10:15", ["–", "3"])]


def test_a_drawn_chart_says_until_when_it_is_true_and_escapes_what_it_shows() -> None:
    page = render_to_string("desk/chart.html", {"chart": REQUESTS})
    assert "true until" in page
    assert "2026-03-01 10:20:05" in page
    named = Chart(title="<script>", labels=["a"], series=[Series("</td>'\"", [1])])
    assert "<script>" not in render_to_string("desk/chart.html", {"chart": named})


def test_a_chart_without_anything_says_so_instead_of_drawing_a_line_at_zero() -> None:
    empty = Chart(title="Requests", labels=["10:00"], series=[Series("allowed", [0])])
    page = render_to_string("desk/chart.html", {"chart": empty})
    assert "Nothing in this period." in page
    assert "<canvas" not in page
