"""What every test in a browser needs: the browser, and a member of staff who may do everything."""

import os

import pytest
from django.contrib.auth.hashers import make_password

from accounts.models import Staff
from tests.browser.browsing import CHROMIUM, PASSWORD, USERNAME
from tests.cast import Tenant


@pytest.fixture(autouse=True)
def _chromium_is_there() -> None:
    if CHROMIUM is None:
        if os.environ.get("LIMITLY_REQUIRE_BROWSER") == "1":
            pytest.fail("LIMITLY_REQUIRE_BROWSER=1, but there is no chromium (Debian: apt-get install chromium)")
        pytest.skip("no chromium (Debian: apt-get install chromium)")


@pytest.fixture
def staff(alice: Tenant) -> Staff:
    password = make_password(PASSWORD, hasher="pbkdf2_sha256")  # the server of its own shall know it
    return Staff.objects.create(username=USERNAME, password=password, is_staff=True, is_superuser=True)
