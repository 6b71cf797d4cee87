"""Has the holder of a lab count what Python keeps in it, each time it gets SIGUSR1.

Python imports this as it starts, wherever this folder is on PYTHONPATH; only a holder that `leaks` started does more
than that. Memory alone says little: it goes up and down by megabytes with what the allocator keeps.
"""

import os
import sys

FILE = os.environ.get("SDN_BENCH_COUNTS", "")

if FILE and "sdn.lab.holder" in sys.orig_argv:
    import gc
    import signal
    from functools import lru_cache
    from pathlib import Path

    _Cache = type(lru_cache(maxsize=1)(len))

    def _count(_signal: int, _frame: object) -> None:
        """Tracked objects and allocated blocks, once what nobody refers to is gone; all of the file or nothing.

        What caches of a limited size hold does not count, for they fill up slowly, and then no more.
        """
        for one in gc.get_objects():
            if isinstance(one, _Cache) and one.cache_parameters()["maxsize"] is not None:
                one.cache_clear()
        gc.collect()
        unfinished = Path(f"{FILE}.part")
        unfinished.write_text(f"{len(gc.get_objects())} {sys.getallocatedblocks()}\n", encoding="ascii")
        unfinished.replace(FILE)

    signal.signal(signal.SIGUSR1, _count)
