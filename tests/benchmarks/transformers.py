"""One row of a transformer of real size, beside torch: ``--transformers FOLDER``.

Models are those of fixtures/large.py, which writes them to FOLDER and makes torch's modules here:
the same weights, the same tokens, the same row of the last token's logits.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

import onnxlin
from fixtures.large import module
from tests.benchmarks.memory import forget_peak, peak_kib
from tests.benchmarks.tables import table
from tests.benchmarks.timing import departure, take_turns

NAMES = ("gpt2", "bert_base", "vit_base", "llama_392m")
CLASS = 1
"""Whose logit is explained."""

FORWARD, COMPILED, REVERSE, EAGER, TORCH_COMPILE = (
    "onnxruntime forward", "compiled", "reverse", "torch eager", "torch.compile"
)  # fmt: skip


def transformers(folder: Path, names: list[str], rounds: int, threads: int) -> None:
    """Print what a row takes, and what is resident at most, of each model."""
    lines, sizes = [], []
    for name in names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        path = folder / f"{name}.onnx"
        sizes.append(_memory(path, name))
        lines.append(_times(path, name, rounds, threads))
        gc.collect()
    head = ("model", "forward ms", *(f"{n} / forward" for n in (COMPILED, REVERSE, EAGER)),
            "torch.compile / forward", "departure from torch")  # fmt: skip
    print(table(head, lines))
    print()
    print(table(("model", "weights MiB", "open", "first compiled call", "later calls"), sizes))


def _x(name: str) -> np.ndarray:
    return np.asarray(module(name)[1][0].numpy())


def _row(name: str, lin: onnxlin.Linearizer) -> int:
    """The last token's, where there is one for each."""
    entries = int(np.prod(lin.run(_x(name))["logits"].shape[:-1]))
    width = lin.run(_x(name))["logits"].shape[-1]
    return (entries - 1) * width + CLASS


def _memory(path: Path, name: str) -> tuple[str, ...]:
    """Peaks of a process that has done no more, in units of the weights."""
    weights = sum(os.stat(p).st_size for p in path.parent.glob(f"{path.name}*"))
    x = _x(name)
    gc.collect()
    forget_peak()
    before, found = peak_kib(), []
    lin = onnxlin.Linearizer(path)
    found.append(peak_kib() - before)
    row = _row(name, lin)
    for _ in range(2):
        forget_peak()
        lin(x, [row], "compiled").W  # noqa: B018
        found.append(peak_kib() - before)
    return name, f"{weights / 2**20:.0f}", *(f"{k * 2**10 / weights:.2f}" for k in found)


def _times(path: Path, name: str, rounds: int, threads: int) -> tuple[str, ...]:
    lin, x = onnxlin.Linearizer(path), _x(name)
    row = _row(name, lin)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    floor = onnxruntime.InferenceSession(path, options)
    jobs: dict[str, Callable[[], Any]] = {
        FORWARD: lambda: floor.run(None, {"x": x}),
        COMPILED: lambda: lin(x, [row], "compiled").W,
        REVERSE: lambda: lin(x, [row], "reverse").W,
        EAGER: _gradient(name),
    }
    reference = jobs[EAGER]()
    gap = max(departure(jobs[n]().reshape(reference.shape), reference) for n in (COMPILED, REVERSE))
    try:
        jobs[TORCH_COMPILE] = _gradient(name, torch.compile)
        jobs[TORCH_COMPILE]()
    except Exception as error:  # it needs a compiler of C++, and knows not every module
        print(f"torch.compile: {' '.join(str(error).split())[:120]}", file=sys.stderr)
        del jobs[TORCH_COMPILE]
    times = take_turns(jobs, rounds)
    forward = times[FORWARD].median
    ratios = [
        f"{times[n].median / forward:.2f}" if n in times else "-"
        for n in (COMPILED, REVERSE, EAGER, TORCH_COMPILE)
    ]
    return name, f"{forward:.0f}", *ratios, f"{gap:.1e}"


def _gradient(name: str, compiled: Callable[[Any], Any] = lambda net: net) -> Callable[[], Any]:
    """A forward and a backward pass: the logit by what the tokens are looked up as, or by x."""
    net, (x,) = module(name)
    held: list[torch.Tensor] = []

    def keep(_net: Any, _args: Any, made: torch.Tensor) -> torch.Tensor:
        held[:] = [made.detach().requires_grad_()]
        return held[0]

    if x.is_floating_point():
        held[:] = [x.requires_grad_()]
    else:
        net.model.get_input_embeddings().register_forward_hook(keep)
    run = compiled(net)

    def job() -> np.ndarray:
        logits = run(x)
        logit = logits.reshape(-1, logits.shape[-1])[-1, CLASS]
        return np.asarray(torch.autograd.grad(logit, held[0])[0].reshape(1, -1).numpy())

    return job
