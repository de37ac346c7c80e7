"""The pages of the staff's desk that are no table's list, under /admin/desk/."""

from django.contrib import admin
from django.urls import path

from accounts.desk.logging_in import log_in_code
from accounts.desk.second_factor import second_factor_page
from analytics.desk.find import find_page

app_name = "desk"
urlpatterns = [
    path("find/", admin.site.admin_view(find_page), name="find"),
    path("second-factor/", admin.site.admin_view(second_factor_page), name="second-factor"),
    path("code/", log_in_code, name="code"),  # between password and session: for who has not logged in yet
]
