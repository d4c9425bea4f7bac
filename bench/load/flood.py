"""`python -m bench.load.flood HOST PORT RATE`: ask at a rate until told to stop, and say what was answered, by status.

A process of its own, since whoever floods a server is not the one who measures it. The request comes on standard input, and the end of
it is the word to stop.
"""

import asyncio
import json
import sys
from itertools import repeat
from typing import Final

import uvloop

from bench.load.loops import Generator, Outcome

PIECE: Final = 0.5  # seconds between two looks whether it is enough


async def main(host: str, port: int, rate: float) -> None:
    """Flood; print what came of it."""
    request = sys.stdin.readline().encode().decode("unicode_escape").encode()
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    generator = Generator(host, port)
    whole = Outcome()
    while not stop.done():
        piece = await generator.open_loop(repeat(request), rate=rate, seconds=PIECE)
        whole.failures += piece.failures
        whole.failures[200] += piece.answered
        whole.seconds += piece.seconds
    generator.close()
    print(json.dumps({"seconds": whole.seconds, "by_status": {status: count for status, count in whole.failures.items() if count}}))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
