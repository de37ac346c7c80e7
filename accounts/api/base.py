"""What every view of the API shares: whose it is, by whom, and how a list is answered."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import Http404
from django_filters import FilterSet
from django_filters.utils import translate_validation
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from accounts.actors import Actor
from accounts.api.addresses import address_of
from accounts.models import AccessKey, Account
from limitly_site.dialects import Kind, Shown
from limitly_site.pagination import Page

Row = TypeVar("Row", bound=Model)


class AccountView(APIView):
    """A view of one account's things, by one of its access keys."""

    @property
    def access_key(self) -> AccessKey:
        access_key = self.request.auth
        assert isinstance(access_key, AccessKey)
        return access_key

    @property
    def account(self) -> Account:
        return self.access_key.account

    @property
    def by(self) -> Actor:
        return Actor.access_key(str(self.access_key), address=address_of(self.request))

    def read(self, serializer: type[BaseSerializer[Any]], *, of: Model | None = None) -> dict[str, Any]:
        """The request's body as this serializer understands it; for an existing row only what was given."""
        given = serializer(of, data=self.request.data, partial=of is not None, context={"account": self.account})
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def find(self, rows: QuerySet[Row], **named: object) -> Row:
        """Errors: NotFound, for another account's as for what never was."""
        row = rows.filter(**named).first()
        if row is None:
            raise NotFound("Not found")
        return row

    def answer_list(
        self,
        rows: QuerySet[Row],
        serializer: type[BaseSerializer[Any]],
        *,
        filters: type[FilterSet] | None = None,
        kind: Kind = Kind.PLAIN,
        beside: dict[str, Any] | None = None,
    ) -> Response:
        """One page, and how many there are over all pages."""
        if filters is not None:
            rows = narrow(filters, self.request, rows)
        page = Page.of(self.request)
        shown = serializer(page.cut(rows), many=True).data
        return Response(Shown(shown, rows.count(), kind, beside))


def narrow(filters: type[FilterSet], request: Request, rows: QuerySet[Row]) -> QuerySet[Row]:
    """Errors: ValidationError for a value that its filter does not understand."""
    given = filters(request.query_params, queryset=rows, request=request)
    if not given.is_valid():
        raise translate_validation(given.errors)
    narrowed: QuerySet[Row] = given.qs
    return narrowed


def deleted(what: str) -> Response:
    return Response(Shown({"message": f"{what} deleted successfully"}))


class NoSuchPath(AccountView):
    """Whatever the API does not know, in the API's shape."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise Http404
