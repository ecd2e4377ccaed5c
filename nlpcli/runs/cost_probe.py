"""Run as a program of its own: starts a command, times its first answer, tells its peak memory.

It is small, so that what the system counts as its child's memory is the child's own and not that of
a process it was copied from. In: one line of JSON (command, first, rest); out: one line of JSON.
"""

import json
import resource
import subprocess
import sys
import threading
import time


def probe(command: list[str], first: str, rest: str) -> dict[str, float | int]:
    """Seconds from the start to the answer of the first row (the second line that is written), and
    bytes of memory at most, after all rows. ``first``: header and first row."""
    begun = time.perf_counter()
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None
    source = child.stdin

    def feed() -> None:
        source.write(rest.encode())
        source.close()

    source.write(first.encode())
    source.flush()
    answered = bool(child.stdout.readline()) and bool(child.stdout.readline())
    seconds = time.perf_counter() - begun
    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    while child.stdout.read(1 << 16):
        pass
    code = child.wait()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    scale = 1 if sys.platform == "darwin" else 1024
    return {"code": code if answered else code or 1, "seconds": seconds, "peak": peak * scale}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe(**json.loads(sys.stdin.readline()))) + "\n")
