"""Commands of Python as processes of their own that have nothing left to import, for each is forked from one that has imported it all.

`python -m gateway` takes most of a second of processor time before its first line, and a run of the tests starts it many hundred times.
What is run here is the same from `__main__` on: a child of ours with the arguments, environment, directory and streams it is given, and no
other descriptor. It differs in what an interpreter decides when it starts and does when it ends, and in memory that it shares with its
siblings. So what preloads a library or measures memory is started the long way (`started(..., anew=True)`), and so is the command of
tests/gateway/test_cli.py.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

ROOT: Final = Path(__file__).parents[2]

_IMPORTED: Final = ("gateway.cli", "gateway.app", "gateway.supervisor", "asyncpg", "obstore.store", "uvloop", "argparse", "faulthandler")
_OF_NO_CONSEQUENCE: Final = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
_SET_CHILD_SUBREAPER: Final = 36
"""prctl(2)"""
_MOST: Final = 1 << 18
"""Octets of an order: arguments and environment."""


def started(command: Sequence[str], *, env: Mapping[str, str], anew: bool = False, **options: Any) -> subprocess.Popen[Any]:
    """As subprocess.Popen(command): forked where it is `python -m MODULE ...` with an interpreter like ours, and is not wanted `anew`."""
    chosen: type[subprocess.Popen[Any]] = _Forked if not anew and _is_alike(command, env) else subprocess.Popen
    return chosen(list(command), env=dict(env), **options)


def finished(
    command: Sequence[str], *, env: Mapping[str, str], stdin: str = "", seconds: float = 120.0, anew: bool = False, **options: Any
) -> subprocess.CompletedProcess[str]:
    """As subprocess.run(command) with what it printed."""
    pipe = subprocess.PIPE
    with started(command, env=env, anew=anew, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **options) as process:
        try:
            told, complained = process.communicate(stdin, seconds)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, told, complained)


def _is_alike(command: Sequence[str], env: Mapping[str, str]) -> bool:
    def decides(variables: Mapping[str, str]) -> dict[str, str]:
        deciding = ("LD_", "LC_", "LANG", "PYTHON")
        return {name: value for name, value in variables.items() if name.startswith(deciding) and name not in _OF_NO_CONSEQUENCE}

    return sys.platform == "linux" and tuple(command[:2]) == (sys.executable, "-m") and decides(env) == decides(os.environ)


class _Forked(subprocess.Popen[Any]):
    def _execute_child(  # what Popen does between making the pipes and closing our ends of the child's
        self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, cwd: Any, env: Any, *others: Any
    ) -> None:
        ends = others[3:9]
        stdin, stdout, stderr = ends[0], ends[3], ends[5]
        streams = [ours if given == -1 else given for ours, given in enumerate((stdin, stdout, stderr))]
        self.pid = _mother().fork([str(one) for one in args], env, str(cwd or Path.cwd()), streams)
        self._child_created = True
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]


class _Mother:
    """The process that has imported everything. It ends with us, or when it cannot be asked any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.live.forked", str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )

    def fork(self, command: list[str], env: dict[str, str], directory: str, streams: Sequence[int]) -> int:
        """Its pid; it is our child."""
        mask = os.umask(0o077)
        os.umask(mask)
        order = json.dumps({"arguments": command[2:], "environment": env, "directory": directory, "umask": mask}).encode()
        with self._lock:
            _adopt(True)
            try:
                socket.send_fds(self._orders, [order], list(streams))
                told = self._orders.recv(64)
            finally:
                _adopt(False)
        if not told:
            raise ChildProcessError(f"the process that forks the others has ended: {self._process.wait()}")
        return int(told)

    def close(self) -> None:
        self._orders.close()
        self._process.wait()


@cache
def _mother() -> _Mother:
    return _Mother()


def end() -> None:
    """When the tests are over."""
    if _mother.cache_info().currsize:
        _mother().close()
        _mother.cache_clear()


def _adopt(orphans: bool) -> None:
    """Whether descendants of ours whose parent ends become our children."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, int(orphans), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


# --- in the other process


def main() -> None:
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is there already stays shared memory
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever ends the tests ends us by that
    order, streams = _ordered(socket.socket(fileno=int(sys.argv[1])))
    if order is None:
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, 1 << 20)
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    os.umask(order["umask"])
    os.chdir(order["directory"])
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding=was.encoding, errors=was.errors, buffering=buffering, closefd=False)  # noqa: SIM115
        for number, mode, was, buffering in ((0, "r", sys.stdin, -1), (1, "w", sys.stdout, -1), (2, "w", sys.stderr, 1))
    )
    if order["environment"].get("PYTHONUNBUFFERED"):
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(was.fileno(), "w", closefd=False), was.encoding, was.errors, write_through=True)  # type: ignore[arg-type]
            for was in (sys.stdout, sys.stderr)
        )
    _run(*order["arguments"])


def _run(module: str, *arguments: str) -> NoReturn:
    """And ends as an interpreter does, but leaves it to the system to take its memory apart."""
    sys.argv[1:] = arguments
    status: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    if not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError):  # whoever read it is gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status & 0xFF)


def _ordered(orders: socket.socket) -> tuple[Any, list[int]]:
    """Returns in each child with what it is to do; at the end, in the mother, with None."""
    while True:
        message, streams, _, _ = socket.recv_fds(orders, _MOST, 3)
        if not message:
            return None, []
        reading, writing = os.pipe()
        between = os.fork()
        if not between:
            # Who is forked by a process that ends at once is the tests' child, not the mother's.
            pid = os.fork()
            if not pid:
                return json.loads(message), streams
            os.write(writing, str(pid).encode())
            os._exit(0)
        os.waitpid(between, 0)
        orders.send(os.read(reading, 64))
        for descriptor in (*streams, reading, writing):
            os.close(descriptor)


if __name__ == "__main__":
    main()
