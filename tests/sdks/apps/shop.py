"""What every shop of these tests does, whatever its framework and SDK: the calls, and what they must add up to.

Each app is a script that serves itself, calls itself by `drive`, and ends as its SDK wants it, so that all is sent.
"""

import json
import logging
import time
import urllib.error
import urllib.request

logger = logging.getLogger("shop.orders")

# (method, path, consumer, body, how often)
CALLS = [
    ("GET", "/users/7?limit=10&api_key=abc", "alice", None, 6),
    ("POST", "/orders", "bob", {"item": "tea", "qty": 2, "password": "hunter2"}, 3),
    ("POST", "/orders", "bob", {"item": "tea", "qty": "many"}, 2),
    ("GET", "/boom", "alice", None, 1),
    ("GET", "/missing?token=abc", "", None, 2),
]
PEOPLE = {"alice": ("Alice", "Admins"), "bob": ("Bob", "")}


def drive(url):
    """Makes all the calls, one after the other. Prints how many bytes their bodies had in all, by method and path:
    as they were sent, and as they were answered."""
    sizes = {}
    for method, path, consumer, body, times in CALLS:
        of_all = sizes.setdefault(f"{method} {path.partition('?')[0]}", [0, 0])
        for _ in range(times):
            sent, answered = _call(method, url + path, consumer, body)
            of_all[0] += sent
            of_all[1] += answered
    print(json.dumps(sizes), flush=True)
    time.sleep(2)  # the first generation writes its log once a second, and sends at the end what was written


def _call(method, url, consumer, body):
    headers = {"X-User": consumer, "X-Forwarded-For": "203.0.113.10", "Authorization": "Bearer secret"}
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return len(data or b""), len(answer.read())
    except urllib.error.HTTPError as error:
        return len(data or b""), len(error.read())
