"""By what API keys can be filtered."""

import django_filters as filters
from django.db.models import Q, QuerySet

from keys.models import ApiKey, ApiKeyStatus

ID_MAX = 2**63 - 1


class ApiKeyFilters(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    user_id = filters.NumberFilter(min_value=1, max_value=ID_MAX, decimal_places=0)
    plan_id = filters.CharFilter(field_name="plan__public_id", max_length=40)
    status = filters.ChoiceFilter(choices=ApiKeyStatus.choices)
    search = filters.CharFilter(method="search_text", max_length=100)

    def search_text(self, rows: QuerySet[ApiKey], _name: str, text: str) -> QuerySet[ApiKey]:
        """In the name, or the whole id."""
        return rows.filter(Q(name__icontains=text) | Q(public_id=text))
