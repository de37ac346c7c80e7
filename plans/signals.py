"""The name under which validate remembers a plan (announced by accounts.signals.changed)."""


def plan_name(account_id: int, plan_id: int) -> str:
    return f"{account_id}:p:{plan_id}"
