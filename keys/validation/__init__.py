"""The hot path: from a request's bytes to one decision and its answer. Reading this folder is enough to know it."""

from typing import Final

PATHS: Final = frozenset({"/v1/validate", "/functions/v1/validate"})  # where it is served
