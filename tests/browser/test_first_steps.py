"""The admin and the API's reference as a person sees them first."""

import re

from accounts.models import Staff
from tests.browser.browsing import browsing, log_in, photograph
from tests.cast import Tenant
from tests.live_server import LiveServer


def test_staff_issue_a_key_see_its_secret_once_and_find_it_in_the_list(
    server: LiveServer, alice: Tenant, staff: Staff
) -> None:
    with browsing(server) as page:
        log_in(page)
        page.click("text=Api keys")
        page.click("text=Add api key")
        page.fill("[name=name]", "Printed by hand")
        page.click(".field-account .select2-selection")
        page.fill(".select2-search__field", "Ali")
        page.click(".select2-results__option:has-text('Alice')")
        page.click("[name=_save]")
        secret = page.input_value("#secret")
        assert re.fullmatch("lk_user_[0-9a-f]{32}", secret)
        photograph(page, "secret-once")
        page.click("text=I have copied it")
        page.wait_for_load_state()  # the click waits for the page's head alone
        assert page.locator("#result_list").get_by_text("Printed by hand").count() == 1
        assert secret not in page.content()
        photograph(page, "api-keys")


def test_the_reference_works_without_the_internet(server: LiveServer) -> None:
    with browsing(server) as page:
        page.goto("/v1/docs")
        page.wait_for_selector(".opblock")
        assert page.locator(".opblock-summary-path", has_text="/v1/validate").count() == 1
        photograph(page, "reference")
