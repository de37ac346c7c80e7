"""How a setting is read from the environment: typed, with a default, failing loudly on a value that makes no sense."""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from limitly_site.stores import make_data_dir

# Set by asgi.py in its own process before the settings are read; nobody else sets it.
IS_WEB_PROCESS = "_LIMITLY_IS_WEB_PROCESS"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})


def text(name: str, default: str = "") -> str:
    return os.environ.get(name) or default


def flag(name: str, default: bool = False) -> bool:
    word = os.environ.get(name, "1" if default else "0").strip().lower()
    if word in TRUE_WORDS | FALSE_WORDS:
        return word in TRUE_WORDS
    raise ImproperlyConfigured(f"{name} is {word!r}: give 1 or 0.")


def integer(name: str, default: int, *, at_least: int, at_most: int) -> int:
    given = text(name, str(default))
    try:
        value = int(given)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {given!r}: give a whole number.") from None
    if not at_least <= value <= at_most:
        raise ImproperlyConfigured(f"{name} is {value}: give {at_least} to {at_most}.")
    return value


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}: give one of {', '.join(choices)}.")
    return value


def words(name: str, default: str = "") -> list[str]:
    """The value split at commas, blanks and empty parts left out."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def secret_key(name: str, file: Path) -> str:
    """The variable's value, or else a key kept in `file`, made once; several processes may start at once."""
    if given := os.environ.get(name):
        return given
    if not file.exists():
        make_data_dir(file.parent)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        try:
            os.link(draft, file)
        except FileExistsError:
            pass  # another process was first: its key is the one
        finally:
            draft.unlink()
    return file.read_text()
