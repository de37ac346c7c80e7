"""Which path is answered where."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.desk.logging_in import change_password, log_in

admin.site.site_url = None  # there is no other site to view
urlpatterns = [
    path("v1/", include("keys.api.docs_urls")),
    path("v1/", include("analytics.api.urls")),
    path("v1/", include("keys.api.urls")),
    path("functions/v1/", include("keys.api.urls")),
    path("", include("keys.api.health_urls")),
    path("admin/desk/", include("analytics.desk.urls")),
    path("admin/login/", log_in),  # in the place of Django's own, whose names they keep
    path("admin/password_change/", admin.site.admin_view(change_password)),
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]

handler400 = "accounts.api.errors.bad_request"
handler403 = "accounts.api.errors.forbidden"
handler404 = "accounts.api.errors.not_found"
handler500 = "accounts.api.errors.failed"
