"""The same programs as in asyncio_streams, on uvloop."""

from __future__ import annotations

import uvloop

from benchmarks.servers._common import main
from benchmarks.servers.asyncio_streams import works

if __name__ == "__main__":
    main(works(uvloop.run))
