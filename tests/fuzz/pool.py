"""Workers with limits: a fresh interpreter each, which lives for many inputs, and is replaced."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from onnxlin.errors import SandboxError
from onnxlin.runtime.sandbox import Child, Sandbox
from tests.fuzz.broken import Broken
from tests.fuzz.verdicts import FAULTS, NATIVE, of_end
from tests.fuzz.worker import MODULES

INPUTS_A_LIFE = 2_000
"""Inputs after which a worker is replaced, so that nothing builds up in it."""


class Worker:
    """A child that tries inputs.

    Parameters
    ----------
    subjects : path
        The folder that `tests.fuzz.subjects.lay` has filled.
    sandbox : Sandbox
        Memory, and the time of one input.
    """

    def __init__(self, subjects: Path, sandbox: Sandbox) -> None:
        self.subjects, self.sandbox = subjects, sandbox
        self.work = Path(tempfile.mkdtemp(prefix="onnxlin-fuzz-"))
        self._child: Child | None = None
        self._tried = 0

    modules = (*MODULES, "tests.fuzz.worker")
    """What each child imports before its limits hold."""

    def attempt(self, **asked: Any) -> dict[str, Any]:
        """Try an input, ``seed=`` and ``index=`` or ``broken=``; a death is a verdict as well."""
        child = self._living()
        self._tried += 1
        ask = {"subjects": str(self.subjects), "work": str(self.work), **asked}
        try:
            found, _ = child.call("tests.fuzz.worker:attempt", ask)
        except SandboxError as error:
            self._child = None
            child.close()
            if error.signal is None and error.limit is None:
                raise  # the fuzzer's own mistake
            return {"verdicts": [of_end(child.stage, error).as_json()], "kind": "", "seconds": 0.0}
        return dict(found)

    def _living(self) -> Child:
        if self._child is not None and (self._tried >= INPUTS_A_LIFE or not self._child.alive):
            self._child.close()
            self._child = None
        if self._child is None:
            self._tried = 0
            self._child = Child(self.sandbox, self.modules)
        return self._child

    def close(self) -> None:
        """End the child and remove its folder."""
        if self._child is not None:
            self._child.close()
            self._child = None
        shutil.rmtree(self.work, ignore_errors=True)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def keys(found: dict[str, Any]) -> set[str]:
    """Kinds of faults among the verdicts of an input."""
    return {v["key"] for v in found["verdicts"] if v["verdict"] in (*FAULTS, NATIVE)}


def again(worker: Worker, broken: Broken, entries: list[str]) -> set[str]:
    """Faults of an input that is given itself."""
    return keys(worker.attempt(broken=broken.as_json(), entries=entries))
