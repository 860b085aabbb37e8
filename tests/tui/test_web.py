"""The studio in a browser: who is let in, and what they may do."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from support import Project


@asynccontextmanager
async def served(project: Project, *options: str) -> AsyncIterator[str]:
    """The address that a served studio prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "valet_studio", "--web", "--web-port", "0", *options),
        cwd=project.root,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        found = re.search(r"http\S+", line)
        assert found is not None, line
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 10)


class Browser:
    """A page with the studio in it: what it was sent, and keys to it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def press(self, key: str) -> None:
        """Send a key."""
        await self.socket.send_json(["stdin", key])

    async def until(self, text: str) -> None:
        """Read until the app has sent this text."""
        sent = b""
        async with asyncio.timeout(30):
            while text.encode() not in sent:
                message = await self.socket.receive()
                assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
                sent += message.data if isinstance(message.data, bytes) else b""


@asynccontextmanager
async def visiting(address: str) -> AsyncIterator[Browser]:
    """A browser that opened the printed address."""
    base = address.partition("/?")[0]
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(address) as page:
            assert page.status == 200
            assert "key=" not in str(page.url)
        async with session.ws_connect(f"{base}/ws?width=120&height=36", origin=base) as socket:
            yield Browser(socket)


async def test_only_the_printed_address_gets_in(todos: Project) -> None:
    async with served(todos) as address, aiohttp.ClientSession() as session:
        base = address.partition("/?")[0]
        port = base.rpartition(":")[2]
        asked: list[tuple[str, dict[str, str]]] = [
            (f"{base}/", {}),
            (f"{base}/ws", {}),
            (f"{base}/static/js/textual.js", {}),
            (f"{base}/?key=wrong", {}),
            (address, {"Host": f"evil.example:{port}"}),
            (address, {"Origin": "http://evil.example"}),
        ]
        for url, headers in asked:
            async with session.get(url, headers=headers) as answer:
                assert answer.status == 403, url


async def test_a_visitor_may_rehearse_and_not_apply(todos: Project) -> None:
    async with served(todos) as address, visiting(address) as browser:
        await browser.until("priorityNum")
        await browser.press("d")
        await browser.until("Dry run worked")
        await browser.press("a")
        await browser.until("is off: the studio was opened read-only.")
    assert "priorityNum" not in str(todos.sql("SELECT sql FROM sqlite_master"))


async def test_a_visitor_applies_where_that_was_asked_for(todos: Project) -> None:
    async with served(todos, "--web-write") as address, visiting(address) as browser:
        await browser.until("priorityNum")
        await browser.press("d")
        await browser.until("Dry run worked")
        await browser.press("a")
        await browser.until("Apply to the database?")
        await browser.press("y")
        await browser.until("in sync")
    assert todos.sql("SELECT count(priorityNum) FROM todos") == [(142,)]
