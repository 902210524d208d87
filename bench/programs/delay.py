"""A slow road: `delay.py PORT MILLISECONDS`; prints its own port. Every byte comes so much later, in both directions.

A connection to any loopback address goes on to the same address's PORT. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress

_CHUNK = 256 * 1024


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Hand on what comes, each piece when its time has come; the last one is the end."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def hand_on() -> None:
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    with suppress(ConnectionError):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hand_on())
            while True:
                data = await reader.read(_CHUNK)
                pieces.put_nowait((loop.time() + delay_s, data))
                if not data:
                    break


async def main(port: int, delay_s: float) -> None:
    """Serve until standard input ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        there, back = await asyncio.open_connection(address, port)
        with suppress(ConnectionError, ExceptionGroup):
            await asyncio.gather(carry(reader, back, delay_s), carry(there, writer, delay_s))

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    listener.bind(("0.0.0.0", 0))  # bound to the loopback device: every address of it, and no other
    async with await asyncio.start_server(serve, sock=listener, backlog=4096):
        print(listener.getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]) / 1000))
