"""The form of an API key's secret: `lk_user_` and 32 random hex digits (128 bits)."""

import secrets


def new_api_key() -> str:
    return f"lk_user_{secrets.token_hex(16)}"
