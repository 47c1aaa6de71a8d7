"""A server in a process of its own, so that descriptors can run short: ``crowded.py REACTOR DESCRIPTORS``.

It says its port on standard output, greets whoever it accepts, echoes, and ends with its standard input.
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from importlib import import_module

from twisted.internet import task
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogBeginner, textFileLogObserver

from winsockets.errors import ConnectionAbortError
from winsockets.sockets import StreamSocketListener

GREETING = b"in\n"


async def echo(sender, args):
    """Greet, then echo."""
    output = args.socket.output_stream
    await output.write_async(GREETING)
    with suppress(ConnectionAbortError):  # when the server ends
        async for data in args.socket.input_stream:
            await output.write_async(data)


async def serve(reactor):
    """Serve until standard input ends."""
    async with StreamSocketListener() as listener:
        listener.connection_received += echo
        await listener.bind_endpoint_async("127.0.0.1", "")
        print(listener.information.local_port, flush=True)
        await deferToThread(sys.stdin.read)


def main(reactor_module, descriptors):
    """Run with so many descriptors at most."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(descriptors), hard))
    import_module(reactor_module).install()
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    task.react(serve)


if __name__ == "__main__":
    main(*sys.argv[1:])
