"""The wiring of the house: settings, urls, ASGI, Celery, embedded stores, the shape of answers."""
