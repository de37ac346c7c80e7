"""What operators type to take request logs and traffic home."""

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.management.base import CommandError

from analytics.exports import request_export
from analytics.models import Consumer, Endpoint, Environment
from tests.analytics import filed
from tests.analytics.filed import Traffic
from tests.cast import Tenant, new_tenant
from tests.keys.test_commands import run
from tests.live_server import store_environment

NOW = datetime.now(UTC)
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def shop(db: None) -> Environment:
    return filed.observe(new_tenant("Alice"))


@pytest.fixture
def users(shop: Environment) -> Endpoint:
    return filed.endpoint(shop.app, "GET /users")


def test_request_logs_are_exported_as_the_api_would(shop: Environment, users: Endpoint) -> None:
    filed.file_rows(
        filed.request(shop, users, NOW - number * HOUR, status_code=status)
        for number, status in enumerate((500, 200, 500), start=1)
    )
    filters = json.dumps([{"field": "status_code", "op": "eq", "value": 500}])
    words = ("export_request_logs", "--app", shop.app.client_id, "--since", "2d", "--fields", "status_code")
    lines = run(*words, "--filters", filters).splitlines()
    assert [list(json.loads(line)) for line in lines] == [
        ["timestamp", "request_uuid", "method", "url", "status_code"]
    ] * 2
    assert [json.loads(line)["status_code"] for line in lines] == [500, 500]
    assert len(run(*words, "--limit", 1).splitlines()) == 1
    assert len(run(*words, "--until", "90m").splitlines()) == 2
    assert len(run(*words, "--sample", 5).splitlines()) == 3
    assert run(*words, "--sample", "0.0000001") == ""


def test_request_logs_as_csv_are_safe_to_open(shop: Environment, users: Endpoint) -> None:
    url = '=HYPERLINK("http://evil.example","x")'
    filed.file_rows([filed.request(shop, users, TODAY - HOUR, url=url, client_ip="203.0.113.1")])
    words = (
        "export_request_logs",
        "--app",
        shop.app_id,
        "--since",
        "2d",
        "--format",
        "csv",
        "--fields",
        "url,client_ip",
    )
    head, row = csv.reader(io.StringIO(run(*words), newline=""))
    assert head == ["timestamp", "request_uuid", "method", "url", "client_ip"]
    assert row[2:] == ["GET", f"'{url}", "203.0.113.1"]
    assert row[0] == f"{TODAY - HOUR:%Y-%m-%dT%H:00:00.000Z}"


def test_traffic_by_day_of_a_zone_as_csv(shop: Environment, users: Endpoint) -> None:
    ann = Consumer.objects.create(app=shop.app, identifier="ann")
    yesterday = TODAY - DAY
    filed.file_traffic(
        [
            Traffic(shop, users, yesterday, 3, consumer=ann, bytes_sent=30, seconds={0.1: 3}),
            Traffic(shop, users, yesterday + HOUR, 1, status_code=500),
        ]
    )
    words = ["export_traffic", "--app", shop.app_id, "--since", f"{yesterday:%Y-%m-%d}", "--until", f"{TODAY:%Y-%m-%d}"]
    plain = list(csv.reader(io.StringIO(run(*words, "--interval", "day"), newline="")))
    assert plain == [
        [
            *("period_start", "period_end", "requests", "bytes_received", "bytes_sent", "client_errors"),
            *("server_errors", "response_time_p50", "response_time_p95"),
        ],
        [f"{yesterday:%Y-%m-%dT00:00:00Z}", f"{TODAY:%Y-%m-%dT00:00:00Z}", "4", "0", "30", "0", "1", "101", "101"],
    ]
    hours = list(csv.reader(io.StringIO(run(*words, "--metrics", "requests"), newline="")))
    assert [row[2] for row in hours[1:]] == ["3", "1", *["0"] * 22]
    more = ("--group-by", "consumer_id,path", "--format", "ndjson", "--timezone", "Asia/Kolkata", "--interval", "month")
    grouped = [json.loads(line) for line in run(*words, *more, "--metrics", "requests").splitlines()]
    assert [(row["consumer_id"], row["path"], row["requests"]) for row in grouped if row["consumer_id"]] == [
        (ann.pk, "/users", 3)
    ]
    assert all(row["period_start"].endswith("T18:30:00Z") for row in grouped)


def test_a_file_is_there_once_it_is_whole(shop: Environment, users: Endpoint, tmp_path: Path) -> None:
    filed.file_rows([filed.request(shop, users, NOW - HOUR)])
    file = tmp_path / "logs.ndjson"
    words = ("export_request_logs", "--app", shop.app_id, "--since", "1d", "--output", file)
    with patch.object(request_export, "_fetch", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        run(*words)
    assert list(tmp_path.iterdir()) == []
    assert run(*words) == ""
    assert list(tmp_path.iterdir()) == [file]
    assert json.loads(file.read_text())["path"] == "/users"


@pytest.mark.parametrize("target", ["folder", "nowhere/logs.ndjson"])
def test_a_file_that_cannot_be_written_is_named(shop: Environment, tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    words = ("export_request_logs", "--app", shop.app_id, "--since", "1d", "--output", tmp_path / target)
    with pytest.raises(CommandError, match=f"--output: .*{target}"):
        run(*words)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("export_request_logs", "--since", "yesterday"), "since: Give an ISO 8601 time."),
        (("export_request_logs", "--since", "9999w"), "since: Give a time of the years 1970 to 2999."),
        (("export_request_logs", "--since", "1d", "--fields", "url,consumer"), "fields.1: Give one of timestamp"),
        (("export_request_logs", "--since", "1d", "--filters", "{"), "--filters is not JSON"),
        (("export_request_logs", "--since", "1d", "--filters", '[{"field": "url"}]'), "filters.0.op: Give one of eq"),
        (("export_request_logs", "--since", "1d", "--limit", "0"), "limit: Give a number from 1"),
        (("export_request_logs", "--since", "1d", "--sample", "many"), "--sample"),
        (("export_traffic", "--since", "60d", "--interval", "minute"), "since: Traffic by the minute is kept"),
        (("export_traffic", "--since", "1d", "--metrics", ""), "metrics: Give a metric at least."),
        (("export_traffic", "--since", "1d", "--timezone", "Mars"), "timezone: Give an IANA time zone"),
    ],
)
def test_a_wish_that_cannot_be_granted_says_why(shop: Environment, words: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        run(*words, "--app", shop.app_id)


def test_the_number_of_rows_is_told_beside_them_and_a_closed_pipe_is_no_failure(alice: Tenant) -> None:
    shop = filed.observe(alice)
    users = filed.endpoint(shop.app, "GET /users")
    filed.file_rows(filed.request(shop, users, NOW - number * timedelta(seconds=1)) for number in range(1, 5_001))
    command = [sys.executable, "manage.py", "export_request_logs", "--app", str(shop.app_id), "--since", "1d"]
    told = {"cwd": settings.BASE_DIR, "env": store_environment(), "stderr": subprocess.PIPE, "text": True}
    whole = subprocess.run(command, stdout=subprocess.PIPE, check=True, **told)  # type: ignore[call-overload]
    assert len(whole.stdout.splitlines()) == 5_000
    assert whole.stderr.endswith("5,000 rows\n")
    with subprocess.Popen(command, stdout=subprocess.PIPE, **told) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        process.stdout.close()
        complaints = process.stderr.read()
    assert "Traceback" not in complaints
    assert "BrokenPipe" not in complaints
    assert process.returncode == 0
