"""Starts `ganbook` in processes and ends them at chosen moments. A tool of test_kills.py, run as a program.

It reads orders from stdin, a line of JSON each, and answers each with a line. Every order is a process of its own,
forked from this one, so that the seconds that torch takes to import are paid once.
"""

import errno
import json
import os
import pathlib
import signal
import sys
import threading
import time


class Spoilt:
    """A file whose write ends in the middle: by a signal that kills this process, or by a full disk."""

    def __init__(self, file, share: float, end: int | None):
        self.file, self.share, self.end = file, share, end

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        self.file.write(content[: int(self.share * len(content))])
        self.file.flush()
        if self.end is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.kill(os.getpid(), self.end)
        time.sleep(0.1)  # a handler runs between two lines of Python
        return self.file.write(content[int(self.share * len(content)) :])


def spoil_write(number: int, share: float, end: int | None) -> None:
    """The number-th file that is written whole or not at all is not, but for this share of it."""
    real, seen = pathlib.Path.open, []

    def open_path(self, mode="r", *args, **kwargs):
        file = real(self, mode, *args, **kwargs)
        if not self.name.endswith(".part"):
            return file
        seen.append(self.name)
        return Spoilt(file, share, end) if len(seen) == number else file

    pathlib.Path.open = open_path


def child(order: dict) -> None:
    from ganbook.__main__ import main

    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us deaf to it
    if "write" in order:
        spoil_write(order["write"], order["share"], order["signal"])
    if "limit" in order:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
    sys.argv = ["ganbook", *order["args"]]
    main()


def obey(order: dict) -> dict:
    started = time.perf_counter()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            child(order)
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            sys.stdout.flush()
            os._exit(code)
    timer = threading.Timer(order.get("after", 3600), os.kill, (pid, order.get("signal") or signal.SIGKILL))
    timer.start()
    _, status = os.waitpid(pid, 0)
    timer.cancel()
    timer.join()
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.perf_counter() - started}


def serve() -> None:
    import torch

    import ganbook.__main__  # what a run imports, once for all
    import ganbook.plots
    import ganbook.runs  # noqa: F401
    from ganbook import datasets

    torch.set_num_threads(1)
    datasets.AVATARS = 40
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    serve()
