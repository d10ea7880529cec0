"""Run one command and say in one line of JSON what it took.

A process inherits the peak memory of the one that starts it, so commands are started from this
small one, which imports next to nothing.
"""

import json
import os
import sys
import time

begin = time.perf_counter()
child = os.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as file:  # noqa: PTH123  pathlib would cost its import
    json.dump(
        {
            "wall": time.perf_counter() - begin,
            "cpu": usage.ru_utime + usage.ru_stime,
            "memory": usage.ru_maxrss / 1024,
        },
        file,
    )
sys.exit(os.waitstatus_to_exitcode(status))
