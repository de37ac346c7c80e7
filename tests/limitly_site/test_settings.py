"""Settings are typed and fail loudly; what is wrong only together with something else is a system check with an id."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import Error, run_checks
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from limitly_site import environment
from limitly_site.checks import check_connections, check_embedded_stores, check_store_addresses, connections_needed
from tests.live_server import store_environment

ROOT = Path(__file__).resolve().parents[2]


def _manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    given = store_environment() | variables
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)


# --- readers ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("value", "is_on"), [("1", True), ("yes", True), ("0", False), ("off", False), ("", False)])
def test_a_flag_knows_yes_from_no(monkeypatch: pytest.MonkeyPatch, value: str, is_on: bool) -> None:
    monkeypatch.setenv("LIMITLY_X", value)
    assert environment.flag("LIMITLY_X") is is_on


@pytest.mark.parametrize("value", ["maybe", "2"])
def test_a_flag_that_is_neither_fails_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LIMITLY_X", value)
    with pytest.raises(ImproperlyConfigured, match="LIMITLY_X"):
        environment.flag("LIMITLY_X")


@pytest.mark.parametrize("value", ["ten", "1.5", "0", "11"])
def test_an_integer_out_of_bounds_fails_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LIMITLY_X", value)
    with pytest.raises(ImproperlyConfigured, match="LIMITLY_X"):
        environment.integer("LIMITLY_X", 5, at_least=1, at_most=10)


def test_a_choice_that_is_none_names_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITLY_X", "warm")
    with pytest.raises(ImproperlyConfigured, match="hot, site"):
        environment.choice("LIMITLY_X", "hot", ("hot", "site"))


def test_a_secret_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    kept = tmp_path / "data" / "secret_key"
    first = environment.secret_key("LIMITLY_X", kept)
    assert len(first) >= 50
    assert environment.secret_key("LIMITLY_X", kept) == first
    assert kept.stat().st_mode & 0o777 == 0o600


# --- checks -------------------------------------------------------------------------------------------------------
def test_stores_of_another_kind_are_errors(settings: Settings) -> None:
    settings.DATABASE_URL = "mysql://localhost/limitly"
    settings.REDIS_URL = "memcached://localhost"
    assert [found.id for found in check_store_addresses()] == ["limitly.E001", "limitly.E002"]


def test_a_split_site_on_embedded_stores_is_warned_of(settings: Settings) -> None:
    settings.USES_EMBEDDED_VALKEY = True
    settings.LIMITLY_WEB = "hot"
    assert [found.id for found in check_embedded_stores()] == ["limitly.W001"]
    settings.LIMITLY_WEB = "all"
    assert check_embedded_stores() == []


@pytest.mark.django_db
def test_more_connections_than_the_database_gives_are_an_error(settings: Settings) -> None:
    assert check_connections(databases=["default"]) == []
    settings.LIMITLY_WEB_PROCESSES = 10
    (found,) = check_connections(databases=["default"])
    assert isinstance(found, Error)
    assert found.id == "limitly.E003"
    assert str(connections_needed()) in found.msg


def test_every_connection_of_a_web_process_is_counted(settings: Settings) -> None:
    before = connections_needed()
    settings.LIMITLY_WEB_PROCESSES += 1
    assert connections_needed() - before == 8 + 2 + 2  # Django's, fills', ingest's


@pytest.mark.django_db
def test_every_check_passes() -> None:
    assert run_checks(databases=["default"]) == []


# --- as an operator meets them ------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_check_deploy_finds_nothing_behind_https() -> None:
    result = _manage("check", "--deploy", "--fail-level", "WARNING", LIMITLY_HTTPS="1", LIMITLY_ALLOWED_HOSTS="a.test")
    assert result.returncode == 0, result.stderr
    assert "no issues" in result.stdout


@pytest.mark.django_db
def test_check_deploy_warns_without_https() -> None:
    result = _manage("check", "--deploy", "--fail-level", "WARNING", LIMITLY_HTTPS="0")
    assert result.returncode == 1
    assert "security.W012" in result.stderr


DEFAULTS = """
import json
from limitly_site import settings
print(json.dumps({name: value for name, value in vars(settings).items() if isinstance(value, int)}))
"""
# Of ruling 8: what an app holds at most, and for how long what is kept.
OF_THE_CONTRACT = {
    "LIMITLY_APP_ENDPOINTS_MAX": 1_000, "LIMITLY_APP_ENVIRONMENTS_MAX": 50, "LIMITLY_APP_CONSUMERS_MAX": 100_000,
    "LIMITLY_REQUEST_LOG_DAYS": 15, "LIMITLY_TRAFFIC_MINUTE_DAYS": 32, "LIMITLY_TRAFFIC_MONTHS": 13,
    "LIMITLY_DECISION_DAYS": 35,
}  # fmt: skip


@pytest.mark.django_db
def test_the_example_shows_the_defaults_and_those_are_the_contracts(tmp_path: Path) -> None:
    given = {name: value for name, value in store_environment().items() if not name.startswith("LIMITLY_")}
    given["LIMITLY_DATA_DIR"] = str(tmp_path)
    told = subprocess.run([sys.executable, "-c", DEFAULTS], cwd=ROOT, env=given, capture_output=True, check=True)
    defaults = json.loads(told.stdout)
    shown = dict(re.findall(r"^(LIMITLY_\w+)=(\d+)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    numbers = {name: int(value) for name, value in shown.items() if name in defaults}
    assert numbers == {name: defaults[name] for name in numbers}
    assert numbers.items() >= OF_THE_CONTRACT.items()


@pytest.mark.django_db
def test_a_wrong_value_stops_a_start_with_a_sentence() -> None:
    command = [sys.executable, "-m", "limitly_site.supervisor"]
    given = store_environment() | {"LIMITLY_WORKERS": "many", "PORT": str(os.getpid() % 20_000 + 20_000)}
    result = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.strip() == "LIMITLY_WORKERS is 'many': give a whole number."
