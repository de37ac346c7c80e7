"""The pages of the staff's desk that are no table's list, under /admin/desk/."""

from django.contrib import admin
from django.urls import path

from analytics.desk.find import find_page
from keys.desk.why import why_page

app_name = "desk"
urlpatterns = [
    path("find/", admin.site.admin_view(find_page), name="find"),
    path("why/", admin.site.admin_view(why_page), name="why"),
]
