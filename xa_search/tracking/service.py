"""A model over HTTP, in the form of MLflow's scoring server. In: what answers texts. Out: an application for a server.

`/invocations` takes MLflow's four forms as JSON and gives `predictions`, `/ping` and `/health` say that the model is
there, `/version` says which one. An error is MLflow's object of `error_code` and `message`. Of what a page in a
browser sends, only requests to this machine's own names are heard.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from xa_search.tracking.batching import Answer, Batcher, BusyError, Limits, TooLargeError
from xa_search.tracking.served_requests import BadRequestError, values_of

JSON = "application/json"
OWN_NAMES = ["127.0.0.1", "localhost"]
MOST_BYTES = 16 * 2**20
"""Of a request's body: a thousand texts of 128 sub-words are a hundredth of it."""


def scoring_app(answer: Answer, version: Mapping[str, Any], limits: Limits) -> FastAPI:
    """Return the application; `answer` gives a record for each value, `version` is what `/version` shows."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="model")
    batcher = Batcher(answer, thread, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with thread:
            running = asyncio.create_task(batcher.run())
            yield
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=OWN_NAMES)

    @app.get("/ping")
    @app.get("/health")
    async def ping() -> Response:
        return Response("\n", media_type=JSON)

    @app.get("/version")
    async def told_version() -> JSONResponse:
        return JSONResponse(dict(version))

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        return await _answered(request, batcher)

    return app


async def _answered(request: Request, batcher: Batcher) -> Response:
    """Answer one request, or say in MLflow's form why not."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != JSON:
        return _error(415, "BAD_REQUEST", f"send {JSON}, not {kind or 'a body of no type'}")
    try:
        predictions = await batcher.ask(values_of(await _body(request)))
    except BadRequestError as error:
        return _error(400, "BAD_REQUEST", str(error))
    except TooLargeError as error:
        return _error(413, "REQUEST_LIMIT_EXCEEDED", str(error))
    except BusyError as error:
        return _error(503, "TEMPORARILY_UNAVAILABLE", str(error), {"Retry-After": "1"})
    except Exception as error:
        return _error(500, "INTERNAL_ERROR", f"{type(error).__name__}: {error}")
    return Response(json.dumps({"predictions": predictions}), media_type=JSON)


async def _body(request: Request) -> bytes:
    """Read a body up to the limit. Raises TooLargeError beyond it."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise TooLargeError(f"the body has more than {MOST_BYTES} bytes; send fewer texts at once")
        parts.append(part)
    return b"".join(parts)


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error_code": code, "message": message}, status, headers)
