"""What a child can be made to do; each is a call of `onnxlin.runtime.sandbox.Child`."""

from __future__ import annotations

import ctypes
import os
import sys
import time

import numpy as np

from onnxlin import limits
from onnxlin.errors import InputError
from onnxlin.runtime.sandbox import reached


def echo(asks, blobs):
    return asks, [blob[::-1] for blob in blobs]


def pid(asks, blobs):
    return os.getpid(), []


def limited(asks, blobs):
    import resource

    core = resource.getrlimit(resource.RLIMIT_CORE)
    return {"nodes": limits.current().nodes, "core": core, "path": sys.path}, []


def prints(asks, blobs):
    """Python and native code print; the answer comes all the same."""
    print("onto stdout")
    ctypes.CDLL(None).puts(b"from C")
    sys.stdin.read()
    return "answered", []


def segfault(asks, blobs):
    ctypes.string_at(0)


def abort(asks, blobs):
    os.abort()


def leave(asks, blobs):
    os._exit(3)


def sleep(asks, blobs):
    time.sleep(3600)


def sleep_in_c(asks, blobs):
    """With the interpreter's lock held, so that no Python code of the child can run."""
    ctypes.PyDLL(None).sleep(3600)


def spin(asks, blobs):
    while True:
        pass


def take(asks, blobs):
    held = np.ones(asks["megabytes"] * 2**17)
    return held.nbytes // 2**20, []


def allocate(asks, blobs):
    held = []
    while True:
        held.append(np.ones(2**21))


def allocate_in_c(asks, blobs):
    """As C++ does: ask, get nothing, abort."""
    c = ctypes.CDLL(None)
    c.malloc.restype = ctypes.c_void_p
    while block := c.malloc(2**24):
        ctypes.memset(block, 1, 2**24)
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def foreign(asks, blobs):
    raise KeyError("\x1b[31mred")


def refuse(asks, blobs):
    raise InputError("x does not fit")


def running(asks, blobs):
    reached("running")
    os.abort()


def babble(asks, blobs):
    """As memory that is overwritten might: onto the pipe of answers."""
    for fd in range(3, 20):
        try:
            os.write(fd, b"\0\0\0\0\0\0\0\x05[1,2]")
        except OSError:
            continue
    time.sleep(3600)
