"""How fast this machine is right now: figures of two runs compare only as far as this number does."""

import hashlib
import json
import time
from typing import Final

ROUNDS: Final = 400
_DOCUMENT: Final = {"names": [f"name {number}" for number in range(200)], "numbers": list(range(200))}


def calibrate() -> float:
    """Return the CPU milliseconds that a fixed piece of interpreter, hashing and parsing work takes."""
    start = time.process_time()
    for _ in range(ROUNDS):
        text = json.dumps(_DOCUMENT)
        json.loads(text)
        hashlib.sha256(text.encode()).digest()
        sum(number * number for number in range(1000))
    return (time.process_time() - start) * 1000
