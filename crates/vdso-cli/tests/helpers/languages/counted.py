"""Reads a clock 1234 times, by a thread and by a child as well."""

import os
import threading
import time


def read(times):
    for _ in range(times):
        time.clock_gettime(time.CLOCK_BOOTTIME)


read(1000)
thread = threading.Thread(target=read, args=(200,))
thread.start()
thread.join()
child = os.fork()
if child == 0:
    read(34)
    os._exit(0)
os.waitpid(child, 0)
