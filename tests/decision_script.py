"""decide.lua called by hand, for what no caller of the store could arrange."""

import json
from typing import Any

from django.utils import timezone

from accounts.secrets import Bucket, digest_of
from keys.events import head_name, request_words, to_ms
from keys.validation.store import SCRIPT
from tests.cast import IssuedKey, Tenant
from tests.store_redis import StoreRedis

HOUR_MS = 3_600_000


class Script:
    """decide.lua, for one tenant and key."""

    def __init__(self, client: StoreRedis, tenant: Tenant, key: IssuedKey) -> None:
        self.client, self.tenant, self.key = client, tenant, key
        self.bucket = Bucket(tenant.account.bucket)
        self.run = client.info("server")["run_id"]

    @property
    def head(self) -> dict[str, str]:
        return self.client.hgetall(head_name(self.bucket))

    def __call__(
        self, *, fill: object = None, nonce: str = "", inv: str = "", final: str = "", **other: Any
    ) -> list[Any]:
        digests = digest_of(self.tenant.secret).hex(), digest_of(self.key.secret).hex()
        arguments = [
            other.get("run", self.run), other.get("mode", "decide"), *digests, other.get("cost", 1),
            request_words("GET", "", "/o"), "limitly", other.get("stream_max", 1000),
        ]  # fmt: skip
        if fill:
            arguments += [json.dumps(fill), nonce, inv, final]
        reply: list[Any] = self.client.eval(SCRIPT, 1, head_name(self.bucket), *arguments)
        return reply

    def fill(
        self,
        *,
        used: int = 0,
        limit: int = 10,
        since_ms: int = -HOUR_MS,
        until_ms: int = HOUR_MS,
        next_used: int = 0,
    ) -> dict[str, Any]:
        """What a fill would say, its window moved to now + since_ms .. now + until_ms."""
        now = to_ms(timezone.now())
        account, key, plan = self.tenant.account.pk, self.key.api_key.pk, 7
        subject = f"k{key}"
        span = now + since_ms, now + until_ms
        return {
            "snapshots": {
                f"a:{digest_of(self.tenant.secret).hex()}": [self.tenant.access_key.pk, account, -1, 0, "", -1],
                f"{account}:k:{digest_of(self.key.secret).hex()}": [key, 0, plan, True, 0, 0, subject],
                f"{account}:p:{plan}": [limit, "day", "Gold"],
                f"{account}:w:{subject}": ["day", *span, span[1] + HOUR_MS, next_used],
            },
            "counter": f"{subject}:{span[0]}:{span[1]}",
            "used": used,
        }

    @property
    def snapshots(self) -> list[str]:
        return self.client.keys(f"*:{self.head['nonce']}:*")

    @property
    def counters(self) -> list[str]:
        return self.client.keys("*:c:*")
