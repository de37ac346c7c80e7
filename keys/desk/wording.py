"""How the desk says numbers, moments and how a window stands: the sentences of quota work."""

from datetime import datetime

from django.utils import timezone

from keys.standing import Standing
from plans.models import UNLIMITED, Plan

THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"


def amount(number: int) -> str:
    """With a space between thousands, which reads the same in every language: 7 200."""
    return f"{number:,}".replace(",", THIN_SPACE)


def moment(at: datetime, *, now: datetime) -> str:
    """In the reader's zone; the hour only where it is not midnight, the year only where it is another."""
    local = timezone.localtime(at)
    day = f"{local.day} {local:%b}" + (f" {local.year}" if local.year != timezone.localtime(now).year else "")
    return day if (local.hour, local.minute, local.second) == (0, 0, 0) else f"{day} {local:%H:%M %Z}"


def state(standing: Standing, *, now: datetime) -> str:
    """7 200 of 5 000 used: blocked until 1 Sep."""
    if standing.quota.is_unlimited:
        return f"{amount(standing.spent)} used, without limit"
    used = f"{amount(standing.spent)} of {amount(standing.allowance)} used"
    until = moment(standing.quota.window.end, now=now)
    if standing.is_used_up:
        return f"{used}: blocked until {until}"
    return f"{used}: {amount(standing.quota.remaining)} left until {until}"


def plan_text(plan: Plan | None) -> str:
    """Gold (5 000 a month)."""
    return f"{plan} ({limit_text(plan.max_requests, plan.request_period)})" if plan else "no plan (no limit)"


def limit_text(limit: int, period: str) -> str:
    return "no limit" if limit == UNLIMITED else f"{amount(limit)} a {period}"
