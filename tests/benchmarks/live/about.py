"""The line about the machine: what `tables.machine` says, and which kernels BLAS runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.tables import machine

ASK = Path(__file__).parents[3] / ".ci" / "second_kernel.py"
CHOSEN = "OPENBLAS_CORETYPE"


def kernels() -> str:
    """Names of the kernels of NumPy's and SciPy's OpenBLAS, as a fresh process runs them."""
    if not ASK.exists():
        return "unknown"
    asked = [sys.executable, str(ASK), "--kernels"]
    found = subprocess.run(asked, check=False, capture_output=True, text=True).stdout.split()
    return ", ".join(found) or "none: this BLAS is no OpenBLAS"


def described(threads: int) -> str:
    """One line, and a warning where the kernels are not the processor's own choice."""
    text = f"{machine(threads)} BLAS kernels (NumPy's, SciPy's): {kernels()}."
    if CHOSEN in os.environ:
        text += f" **Warning: {CHOSEN}={os.environ[CHOSEN]} is set; these are not its own times.**"
    return text
