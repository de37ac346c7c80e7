"""How an app announces, inside the changing transaction, what validate may still remember and must forget.

`changed` is sent with `bucket` (the account's) and `names`: the names of snapshots without tag and nonce, as DESIGN 5a
spells them. The functions here and in the higher apps' modules make them; keys.invalidation receives the signal.
"""

from django.dispatch import Signal

from accounts.secrets import Bucket

changed = Signal()


def announce(bucket: int, *names: str) -> None:
    """Must be called in the transaction that writes. Errors: keys.invalidation.NotYetInForce, at its commit."""
    changed.send(sender=None, bucket=Bucket(bucket), names=names)


def access_key_name(digest: bytes) -> str:
    return f"a:{digest.hex()}"


def user_name(account_id: int, user_id: int) -> str:
    return f"{account_id}:u:{user_id}"
