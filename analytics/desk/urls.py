"""The pages of the staff's desk that are no table's list, under /admin/desk/."""

from django.contrib import admin
from django.urls import path

from analytics.desk.find import find_page
from keys.desk.adjust import adjust_page
from keys.desk.change_plan import change_plan_page
from keys.desk.move import move_page

app_name = "desk"
urlpatterns = [
    path("find/", admin.site.admin_view(find_page), name="find"),
    path("quota/<str:kind>/<int:pk>/", admin.site.admin_view(adjust_page), name="adjust"),
    path("move-users/", admin.site.admin_view(move_page), name="move"),
    path("plan/<str:kind>/<int:pk>/", admin.site.admin_view(change_plan_page), name="change_plan"),
]
