"""The country of an address, by a file of the operator's."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from analytics import countries
from analytics.countries import country_of
from analytics.models import App
from limitly_site.checks import check_country_database
from tests.analytics.folds import fold_all
from tests.analytics.mmdb import write_mmdb
from tests.analytics.reporting import call, file, new_app, observed, request
from tests.cast import Tenant
from tests.conftest import ApiClient

NETWORKS = {"81.2.69.0/24": "GB", "216.160.83.56/29": "US", "2001:218::/32": "JP", "10.0.0.0/8": "ZZ"}


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    yield
    countries._opened.cache_clear()
    countries._country.cache_clear()


@pytest.fixture
def database(tmp_path: Path, settings: Settings) -> Path:
    path = write_mmdb(tmp_path / "countries.mmdb", NETWORKS)
    settings.LIMITLY_COUNTRY_DATABASE = str(path)
    return path


@pytest.mark.parametrize(
    ("ip", "country"),
    [
        ("81.2.69.160", "GB"),
        ("216.160.83.57", "US"),
        ("2001:218::1", "JP"),
        ("10.1.2.3", ""),
        ("192.168.0.1", ""),
        ("216.160.83.64", ""),
        ("::1", ""),
        ("no address", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_is_of_the_country_that_the_file_names(database: Path, ip: str | None, country: str) -> None:
    assert country_of(ip) == country
    assert check_country_database() == []


@pytest.mark.parametrize("kind", ["GeoIP2-City", "DBIP-City-Lite", "GeoIP2-Enterprise"])
def test_files_that_tell_more_tell_the_country_too(tmp_path: Path, settings: Settings, kind: str) -> None:
    settings.LIMITLY_COUNTRY_DATABASE = str(write_mmdb(tmp_path / "cities.mmdb", NETWORKS, kind=kind))
    assert country_of("81.2.69.160") == "GB"


def test_without_a_file_no_country_is_told(settings: Settings) -> None:
    settings.LIMITLY_COUNTRY_DATABASE = ""
    assert country_of("81.2.69.160") == ""
    assert check_country_database() == []


def test_a_file_is_opened_once(database: Path) -> None:
    country_of("81.2.69.160")
    database.unlink()
    assert country_of("81.2.69.161") == "GB"


def test_answers_name_the_country_of_reports_and_of_decisions(api: ApiClient, alice: Tenant, database: Path) -> None:
    app, route = new_app(alice), call()
    reported = [request(number, of=route, client_ip=ip) for number, ip in ((1, "81.2.69.160"), (2, "10.0.0.1"))]
    file(app, observed(requests=reported))
    api.validate(alice, alice.key().secret, ip_address="216.160.83.57")
    assert fold_all() == 1
    default = App.objects.get(is_default=True)
    details = [api.get(f"/v1/apps/{app.pk}/request-logs/{each.uuid}", of=alice).json() for each in reported]
    (decided,) = api.get(f"/v1/apps/{default.pk}/request-logs", of=alice).json()["data"]
    assert [each["client_country_iso_code"] for each in (*details, decided)] == ["GB", None, "US"]


@pytest.mark.parametrize("fault", ["absent", "garbage", "of other things"])
def test_a_file_that_cannot_serve_is_an_error_of_the_checks_and_tells_nothing(
    tmp_path: Path, settings: Settings, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "countries.mmdb"
    settings.LIMITLY_COUNTRY_DATABASE = str(path)
    if fault == "garbage":
        path.write_bytes(b"no database" * 100)
    elif fault == "of other things":
        write_mmdb(path, NETWORKS, kind="GeoLite2-ASN")
    (found,) = check_country_database()
    assert found.id == "limitly.E004"
    with caplog.at_level(logging.WARNING):
        assert [country_of(ip) for ip in ("81.2.69.160", "81.2.69.161")] == ["", ""]
    assert len(caplog.messages) == 1
