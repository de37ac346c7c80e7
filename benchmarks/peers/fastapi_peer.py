"""Peer (b): FastAPI with limits counting in Redis. Its keys are digests in memory: no look-up is cheaper."""

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException
from limits import RateLimitItemPerMonth
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from pydantic import BaseModel

KEYS = {hashlib.sha256(key.encode()).digest() for key in json.loads(Path(os.environ["PEER_KEYS"]).read_text())}
LIMIT = RateLimitItemPerMonth(1_000_000_000)
storage = RedisStorage(f"async+redis+{os.environ['PEER_REDIS_URL']}", implementation="redispy")
limiter = FixedWindowRateLimiter(storage)
application = FastAPI()


class Call(BaseModel):
    endpoint: str
    method: str


@application.post("/validate")
async def validate(call: Call, x_api_key: Annotated[str, Header()]) -> dict[str, Any]:
    digest = hashlib.sha256(x_api_key.encode()).digest()
    if digest not in KEYS:
        raise HTTPException(404)
    is_allowed = await limiter.hit(LIMIT, digest.hex())
    reset, remaining = await limiter.get_window_stats(LIMIT, digest.hex())
    return {"success": is_allowed, "remaining": remaining, "reset": reset, "endpoint": call.endpoint}
