"""The form of a write token, with which SDKs report: `apt_` and 24 letters and digits (143 random bits)."""

import re
import secrets
import string

WRITE_TOKEN_FORM = re.compile(r"apt_[0-9A-Za-z]{24}")
ALPHABET = string.ascii_letters + string.digits


def new_write_token() -> str:
    return "apt_" + "".join(secrets.choice(ALPHABET) for _ in range(24))
