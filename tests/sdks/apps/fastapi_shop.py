"""A FastAPI shop under uvicorn, observed by either generation of the Apitally SDK (its version decides)."""

import os
import threading
import time
from importlib.metadata import version

import shop
import uvicorn
from fastapi import FastAPI, Request
from pydantic import BaseModel

IS_FIRST_GENERATION = version("apitally").startswith("0.")

if IS_FIRST_GENERATION:
    from apitally.fastapi import ApitallyMiddleware
    from apitally.fastapi import set_consumer as set_request_consumer
    from apitally.otel import span
else:
    import apitally
    from apitally import span


class Order(BaseModel):
    item: str
    qty: int
    password: str = ""


app = FastAPI()


def tell_consumer(request: Request):
    identifier = request.headers.get("x-user")
    if not identifier:
        return
    name, group = shop.PEOPLE[identifier]
    if IS_FIRST_GENERATION:
        set_request_consumer(request, identifier, name=name, group=group or None)
    else:
        apitally.set_consumer(identifier, name=name, group=group or None)


@app.get("/users/{user_id}")
def read_user(user_id: int, request: Request):
    tell_consumer(request)
    return {"id": user_id, "name": "Uma"}


@app.post("/orders", status_code=201)
async def create_order(order: Order, request: Request):
    tell_consumer(request)
    shop.logger.warning("order of %s", order.item)
    with span("warehouse.reserve"):
        return {"ok": True, "token": "t-1"}


@app.get("/boom")
def boom(request: Request):
    tell_consumer(request)
    raise ValueError("kaboom")


if IS_FIRST_GENERATION:
    app.add_middleware(
        ApitallyMiddleware,
        client_id=os.environ["SHOP_CLIENT_ID"],
        env="dev",
        app_version="1.2.3",
        enable_request_logging=True,
        log_request_headers=True,
        log_request_body=True,
        log_response_body=True,
        capture_logs=True,
        capture_traces=True,
    )
else:
    apitally.init(
        app,
        env="dev",
        app_version="1.2.3",
        capture_request_headers=True,
        capture_request_body=True,
        capture_response_body=True,
    )


def main():
    port = int(os.environ["SHOP_PORT"])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    shop.drive(f"http://127.0.0.1:{port}")
    server.should_exit = True  # the lifespan's end sends what is left
    thread.join()


if __name__ == "__main__":
    main()
