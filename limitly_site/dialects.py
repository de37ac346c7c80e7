"""The two dialects of one API: `/v1` as documented, `/functions/v1` as Limitly's official SDKs expect it.

This module alone knows which path speaks which, and how an error is shaped in either.
"""

from enum import Enum
from typing import Any


class Dialect(Enum):
    DOCUMENTED = "/v1/"
    SDK = "/functions/v1/"

    @classmethod
    def of_path(cls, path: str) -> "Dialect | None":
        """None where no API is spoken (the admin, static files, health)."""
        for dialect in cls:
            if path.startswith(dialect.value) or path == dialect.value[:-1]:
                return dialect
        return None


def error_shape(
    dialect: Dialect | None, *, error: str, code: str, details: dict[str, str] | None = None
) -> dict[str, Any]:
    shape: dict[str, Any] = {"error": error, "code": code}
    if details is not None:
        shape["details"] = details
    return {"success": False} | shape if dialect is Dialect.SDK else shape
