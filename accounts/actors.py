"""Who changes something: every changing service takes `by: Actor`, so that an audit can name the doer."""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    STAFF = "staff"
    ACCESS_KEY = "access_key"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Actor:
    kind: ActorKind
    name: str

    @classmethod
    def staff(cls, username: str) -> "Actor":
        return cls(ActorKind.STAFF, username)

    @classmethod
    def access_key(cls, access_key_id: int) -> "Actor":
        return cls(ActorKind.ACCESS_KEY, str(access_key_id))

    @classmethod
    def command(cls, name: str) -> "Actor":
        return cls(ActorKind.COMMAND, name)
