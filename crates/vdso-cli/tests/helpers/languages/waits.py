"""Waits of Python's own: `waits.py SECONDS` prints for each whether it was as long as it was to be."""

import asyncio
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time

span = float(sys.argv[1])


def wait_condition():
    condition = threading.Condition()
    with condition:
        condition.wait(span)


def wait_lock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=span)


def wait_queue():
    try:
        queue.Queue().get(timeout=span)
    except queue.Empty:
        pass


def wait_poll():
    select.poll().poll(span * 1000)


def wait_socket():
    one, _other = socket.socketpair()
    one.settimeout(span)
    try:
        one.recv(1)
    except socket.timeout:
        pass


def wait_timer():
    done = threading.Event()
    threading.Timer(span, done.set).start()
    done.wait()


def wait_signal():
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, span)
    signal.pause()


def wait_join():
    thread = threading.Thread(target=time.sleep, args=(2 * span,))
    thread.start()
    thread.join(span)


def wait_child():
    child = subprocess.Popen(["sleep", str(2 * span)])
    try:
        child.wait(span)
    except subprocess.TimeoutExpired:
        pass
    child.kill()
    child.wait()


WAITS = {
    "sleep": lambda: time.sleep(span),
    "event": lambda: threading.Event().wait(span),
    "condition": wait_condition,
    "lock": wait_lock,
    "queue": wait_queue,
    "asyncio": lambda: asyncio.run(asyncio.sleep(span)),
    "select": lambda: select.select([], [], [], span),
    "poll": wait_poll,
    "epoll": lambda: select.epoll().poll(span),
    "socket": wait_socket,
    "timer": wait_timer,
    "setitimer": wait_signal,
    "sigtimedwait": lambda: signal.sigtimedwait([signal.SIGUSR1], span),
    "join": wait_join,
    "child": wait_child,
}

for name, wait in WAITS.items():
    began = time.monotonic()
    wait()
    print(name, "waited" if time.monotonic() - began >= span else "early")
