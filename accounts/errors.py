"""What a service refuses to do, in a sentence that its caller may be shown."""


class RefusedError(Exception):
    """A caller's wish that cannot be granted as it stands. `code` is stable, part of the public API."""

    code = "VALIDATION_ERROR"


class NotFoundError(RefusedError):
    """What was named is not there, or is another account's: the two must not be told apart."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"There is no such {what}.")
        self.field = field
