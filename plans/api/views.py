"""Plans and users: creating, reading and changing them. What needs keys or usage is in keys.api."""

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import AccountView
from accounts.models import User
from limitly_site.dialects import Kind, Shown
from plans import services
from plans.api.filters import UserFilters
from plans.api.serializers import PlanInput, PlanSerializer, UserInput, UserSerializer
from plans.models import Plan

LIVE_USERS = User.objects.live().select_related("subscription__plan")


class PlanList(AccountView):
    def get(self, request: Request) -> Response:
        return self.answer_list(Plan.objects.of(self.account).order_by("-id"), PlanSerializer)

    def post(self, request: Request) -> Response:
        plan = services.create_plan(self.account, by=self.by, **self.read(PlanInput))
        return Response(Shown(PlanSerializer(plan).data), status=201)


class PlanDetail(AccountView):
    def get(self, request: Request, plan_id: str) -> Response:
        return Response(Shown(PlanSerializer(self.find_plan(plan_id)).data))

    def put(self, request: Request, plan_id: str) -> Response:
        plan = self.find_plan(plan_id)
        services.update_plan(plan, by=self.by, **self.read(PlanInput, of=plan))
        return Response(Shown(PlanSerializer(plan).data))

    def find_plan(self, plan_id: str) -> Plan:
        return self.find(Plan.objects.of(self.account), public_id=plan_id)


class PlanUsers(AccountView):
    def get(self, request: Request, plan_id: str) -> Response:
        plan = self.find(Plan.objects.of(self.account), public_id=plan_id)
        users = LIVE_USERS.filter(account=self.account, subscription__plan=plan).order_by("-id")
        return self.answer_list(users, UserSerializer, kind=Kind.PLAN_USERS, beside={"plan": PlanSerializer(plan).data})


class UserList(AccountView):
    def get(self, request: Request) -> Response:
        users = LIVE_USERS.filter(account=self.account).order_by("-id")
        return self.answer_list(users, UserSerializer, filters=UserFilters)

    def post(self, request: Request) -> Response:
        user = services.create_user(self.account, by=self.by, **self.read(UserInput))
        return Response(Shown(UserSerializer(user).data), status=201)


class UserDetail(AccountView):
    def get(self, request: Request, user_id: int) -> Response:
        return Response(Shown(UserSerializer(self.find_user(user_id)).data))

    def put(self, request: Request, user_id: int) -> Response:
        user = self.find_user(user_id)
        services.update_user(user, by=self.by, **self.read(UserInput, of=user))
        return Response(Shown(UserSerializer(user).data))

    def find_user(self, user_id: int) -> User:
        return self.find(LIVE_USERS.filter(account=self.account), pk=user_id)
