"""The server of the page, as a Starlette application. Nothing is written to disk, and nothing is kept of a request."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..errors import MultistyleError
from ..messages import Progress, no_progress
from ..stylizer import Stylizer
from .answers import Answer, answers, batch_key, facts_header
from .painting_queue import Job, PaintingQueue
from .refusal import Abandoned, Refusal
from .requests import BYTES, MASKS, PIXELS, PaintRequest, paint_request, sequence_request
from .security import Guard
from .thumbnails import STATIC, config, config_file, default_style, style_list, thumbnails

TOGETHER = 8  # pictures of one shape, painted as a batch on a GPU
NAME = re.compile(r"[\w-]{16,64}", re.ASCII)  # of a job or a session, which a client draws at random
LIMITS = {"bytes": BYTES, "pixels": PIXELS}


class InMemory(MultiPartParser):
    """Reads forms without temporary files."""

    spool_max_size = 2 * BYTES


class Page:
    """The answers of the server.

    stylizer: what paints.
    host: the address the server listens on.
    arguments: what "Copy command" adds to a command: the options that name weight and style files.
    progress: counts the thumbnails that are painted first.
    """

    def __init__(self, stylizer: Stylizer, host: str, arguments: Sequence[str], progress: Progress) -> None:
        self.stylizer, self.host = stylizer, host
        self.queue = PaintingQueue(lambda jobs: answers(stylizer, jobs), TOGETHER)
        self.thumbnails = thumbnails(stylizer, progress)
        facts = {"backend": "server", "limits": LIMITS, "arguments": list(arguments)}
        self.config = config_file(config(stylizer, video=find_spec("av") is not None, **facts))

    def app(self) -> Starlette:
        routes = [
            Route("/config.json", self.show_config),
            Route("/styles", self.show_styles),
            Route("/thumbnails/{name}.jpg", self.show_thumbnail),
            Route("/progress", self.show_progress),
            Route("/paint", self.paint, methods=["POST"]),
            Route("/sequence", self.sequence, methods=["POST"]),
            Mount("/", StaticFiles(directory=STATIC, html=True)),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, host=self.host)],
            exception_handlers={Refusal: refused, MultistyleError: wrong, Abandoned: gone, ClientDisconnect: gone},
            lifespan=self.lifespan,
        )

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        self.queue.close()

    async def show_config(self, request: Request) -> Response:
        return Response(self.config, media_type="application/json")

    async def show_styles(self, request: Request) -> Response:
        facts = {"styles": style_list(self.stylizer), "default": default_style(self.stylizer), "limits": LIMITS}
        return JSONResponse(facts)

    async def show_thumbnail(self, request: Request) -> Response:
        body = self.thumbnails.get(request.path_params["name"])
        if body is None:
            raise Refusal(404, "there is no style of that name")
        return Response(body, media_type="image/jpeg")

    async def show_progress(self, request: Request) -> Response:
        found = self.queue.find(request.query_params.get("job", ""))
        if found is None:
            raise Refusal(404, "no picture of that name is waiting or being painted")
        job, ahead = found
        return JSONResponse({"done": job.done, "total": job.total, "waiting": ahead})

    async def paint(self, request: Request) -> Response:
        query, tags = parameters(request)
        picture, masks = await read_pictures(request)
        wanted = await run_in_threadpool(paint_request, query, picture, masks, self.stylizer)
        job = Job(wanted, len(picture) + sum(map(len, masks)), batch_key(wanted, self.stylizer.device), **tags)
        return await self.answer(job, request)

    async def sequence(self, request: Request) -> Response:
        query, tags = parameters(request)
        picture, _ = await read_pictures(request)
        wanted = await run_in_threadpool(sequence_request, query, picture, self.stylizer)
        return await self.answer(Job(wanted, len(picture), **tags), request)

    async def answer(self, job: Job, request: Request) -> Response:
        done: Answer = await self.queue.result(job, request.is_disconnected)
        headers = {"X-Painting": facts_header(done)} if isinstance(job.content, PaintRequest) else None
        return Response(bytes(done.body), media_type=done.media_type, headers=headers)


def parameters(request: Request) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """The parameters of what is painted, each with all of its values; and the job's and the session's names."""
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(name, []).append(value)
    tags = {"name": query.pop("job", [None])[-1], "session": query.pop("session", [None])[-1]}
    for tag in tags.values():
        if tag is not None and not NAME.fullmatch(tag):
            raise MultistyleError("the name of a job or a session has 16 to 64 letters, digits, _ and -")
    return query, tags


async def read_pictures(request: Request) -> tuple[bytes, list[bytes]]:
    """The picture in the body of a request, and masks beside it. Raises `Refusal` and `MultistyleError`."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > BYTES:
        raise Refusal(413, f"{int(length) / 1e6:.1f} MB are too much; this server takes up to {BYTES >> 20} MiB")
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        body = b"".join([chunk async for chunk in limited(request)])
        if not body:
            raise MultistyleError("the body is empty; send the bytes of a picture")
        return body, []
    try:
        form = await InMemory(request.headers, limited(request), max_files=1 + MASKS, max_fields=0).parse()
    except MultiPartException as error:
        raise MultistyleError(f"the form cannot be read ({error.message})") from error
    parts: dict[str, list[bytes]] = {"picture": [], "mask": []}
    try:
        for name, part in form.multi_items():
            if isinstance(part, str) or name not in parts:
                raise MultistyleError(f"a form has one part named picture, and parts named mask, not {name!r}")
            parts[name].append(await part.read())
    finally:
        await form.close()
    if len(parts["picture"]) != 1:
        raise MultistyleError(f"a form has one part named picture, not {len(parts['picture'])}")
    return parts["picture"][0], parts["mask"]


async def limited(request: Request) -> AsyncGenerator[bytes, None]:
    """The body of a request, piece by piece, up to `BYTES`."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BYTES:
            raise Refusal(413, f"the body is too large; this server takes up to {BYTES >> 20} MiB")
        yield chunk


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    headers = {"Retry-After": "1"} if error.status == 503 else None
    return JSONResponse({"error": str(error)}, error.status, headers)


async def wrong(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


async def gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


def build_app(
    stylizer: Stylizer, host: str = "127.0.0.1", arguments: Sequence[str] = (), progress: Progress = no_progress
) -> Starlette:
    """The application that serves the page; arguments as of `Page`."""
    return Page(stylizer, host, arguments, progress).app()
