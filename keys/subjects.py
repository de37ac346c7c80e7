"""Whom a window counts: the one rule that turns key, user and plans into a subject."""

from dataclasses import dataclass

from keys.models import SubjectKind


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """In text: its kind's letters and its id, such as `u12`."""

    kind: SubjectKind
    id: int

    def __str__(self) -> str:
        return f"{self.kind.value}{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Subject":
        digits = text.lstrip("fku")
        return cls(SubjectKind(text[: len(text) - len(digits)]), int(digits))


def subject_of_user(user_id: int, *, plan_id: int | None) -> Subject:
    return Subject(SubjectKind.USER if plan_id else SubjectKind.FREE_USER, user_id)


def subject_of_key(key_id: int, *, plan_id: int | None, user_id: int | None, user_plan_id: int | None) -> Subject:
    """The key if it has a plan of its own, else its user, else the key without limit."""
    if plan_id:
        return Subject(SubjectKind.KEY, key_id)
    if user_id:
        return subject_of_user(user_id, plan_id=user_plan_id)
    return Subject(SubjectKind.FREE_KEY, key_id)
