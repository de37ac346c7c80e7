"""Who changes something: every changing service takes `by: Actor`, so that an audit can name the doer."""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    STAFF = "staff"
    ACCESS_KEY = "access_key"
    COMMAND = "command"
    VISITOR = "visitor"

    @classmethod
    def choices(cls) -> list[tuple[str, str]]:
        return [(kind.value, kind.value.replace("_", " ")) for kind in cls]


@dataclass(frozen=True, slots=True)
class Actor:
    """`address` is the IP address from which it was done; None on this machine."""

    kind: ActorKind
    name: str
    address: str | None = None

    @classmethod
    def staff(cls, username: str, *, address: str | None = None) -> "Actor":
        return cls(ActorKind.STAFF, username, address)

    @classmethod
    def access_key(cls, shown: str, *, address: str | None = None) -> "Actor":
        """`shown` is what a person may see of the key: its name and masked secret."""
        return cls(ActorKind.ACCESS_KEY, shown, address)

    @classmethod
    def command(cls, name: str) -> "Actor":
        return cls(ActorKind.COMMAND, name)

    @classmethod
    def visitor(cls, *, address: str | None) -> "Actor":
        """Somebody who has not logged in, whoever they say they are."""
        return cls(ActorKind.VISITOR, "nobody known", address)
