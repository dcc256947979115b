"""Run the numeric tests once more, by a BLAS kernel that is not this processor's own.

OpenBLAS holds kernels for many processors and takes those of the one that it finds. Each adds the
same products up in an order of its own, so a test that wants more digits than every order settles
passes on one processor and fails on the next.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import scipy.linalg

ROOT = Path(__file__).parent.parent
# The first of these that differs from the processor's own is taken.
KERNELS = ("Haswell", "Prescott")
# What compares sums of floating-point numbers. Where tests move, this list moves with them: pytest
# stops at a path that is not there.
NUMERIC = (
    "tests/affine_map",
    "tests/engines/compiled/test_agrees.py",
    "tests/engines/compiled/test_pieces.py",
    "tests/engines/test_noise.py",
    "tests/linearizer",
    "tests/primitives",
    "tests/program",
    "tests/readings/bias",
    "tests/readings/row",
    "tests/test_laws.py",
    "tests/test_patterns.py",
)
# Besides, with the argument "long": more than fits the time that decides whether a change lands.
LONG = ("tests/engines", "tests/readings", "tests/runtime", "tests/testing")
ASK = "--kernels"
SYMBOLS = [
    f"{prefix}openblas_get_corename{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "")
]


def main() -> int:
    """Find another kernel and run the tests by it; return pytest's exit status."""
    long = sys.argv[1:] == ["long"]
    own, further = kernels_under({}), LONG if long else ()
    # Other roundings are what is looked for here, not other graphs: a few of each law's do.
    examples = {} if long else {"HYPOTHESIS_PROFILE": "few"}
    for name in KERNELS:
        chosen = {"OPENBLAS_CORETYPE": name}
        other = kernels_under(chosen)
        if other and not {*own} & {*other}:
            print(f"kernels {' and '.join(other)}, where this processor's own are {own[0]}")
            return subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-n", "2", *NUMERIC, *further],
                cwd=ROOT,
                env=environment(examples | chosen),
                check=False,
            ).returncode
    print("not run:", f"OpenBLAS takes {own[0]} in any case" if own else "this BLAS is no OpenBLAS")
    return 0


def kernels_under(chosen: dict[str, str]) -> list[str]:
    """What a new process takes; nothing where it cannot run it, or where it is no OpenBLAS."""
    asked = [sys.executable, __file__, ASK]
    found = subprocess.run(
        asked, env=environment(chosen), capture_output=True, text=True, check=False
    )
    return found.stdout.split() if found.returncode == 0 else []


def environment(chosen: dict[str, str]) -> dict[str, str]:
    """Leave out the models beside the checkout, which take too long."""
    return {name: v for name, v in os.environ.items() if name != "ONNXLIN_ZOO"} | chosen


def say_kernels() -> None:
    """Print the kernels of NumPy's and SciPy's OpenBLAS, after a product by each."""
    for dtype in (np.float32, np.float64):
        square = np.eye(100, dtype=dtype)
        scipy.linalg.inv(square @ square)
    for package in (np, scipy):
        inside = Path(package.__file__).parent
        for folder in (inside.with_name(f"{package.__name__}.libs"), inside / ".dylibs"):
            for path in sorted(folder.glob("*openblas*")):
                library = ctypes.CDLL(str(path))
                for symbol in filter(lambda name: hasattr(library, name), SYMBOLS):
                    function = getattr(library, symbol)
                    function.restype = ctypes.c_char_p
                    print(function().decode())


if __name__ == "__main__":
    if ASK in sys.argv:
        say_kernels()
    else:
        sys.exit(main())
