"""Static files of the installed packages, by WhiteNoise, in answers that an ASGI server can send."""

from typing import Any

from django.http import FileResponse, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # WhiteNoise has no types
    """WhiteNoise streams by a synchronous iterator, which Django under ASGI would read whole, and warn of."""

    @staticmethod
    def serve(static_file: Any, request: Any) -> HttpResponse:
        streamed: FileResponse = WhiteNoiseMiddleware.serve(static_file, request)
        whole = HttpResponse(b"".join(streamed.streaming_content), status=streamed.status_code)  # type: ignore[arg-type]
        whole.headers = streamed.headers
        streamed.close()
        return whole
