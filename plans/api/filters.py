"""By what users can be filtered."""

import django_filters as filters
from django.db.models import Q, QuerySet

from accounts.models import User


class UserFilters(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    email = filters.CharFilter(lookup_expr="iexact", max_length=254)
    search = filters.CharFilter(method="search_text", max_length=100)
    is_disabled = filters.ChoiceFilter(choices=[("true", "true"), ("false", "false")], method="filter_disabled")
    plan_id = filters.CharFilter(field_name="subscription__plan__public_id", max_length=40)

    def search_text(self, rows: QuerySet[User], _name: str, text: str) -> QuerySet[User]:
        """In name and e-mail, in either case."""
        return rows.filter(Q(name__icontains=text) | Q(email__icontains=text))

    def filter_disabled(self, rows: QuerySet[User], _name: str, word: str) -> QuerySet[User]:
        return rows.filter(is_disabled=word == "true")
