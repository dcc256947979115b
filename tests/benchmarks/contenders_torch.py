"""torch's ways to rows of a Jacobian, on the native module and on one read from ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import onnx
import torch
from torch import Tensor
from torch.func import jacrev, vjp, vmap

from tests.benchmarks.contenders import Array, Job, SkippedError, Work

Net = Callable[[Tensor], Tensor]


def flat(W: Tensor, work: Work) -> Array:
    """(K, n_in), or (N, K, n_in) for a batch."""
    shape = (work.batch, work.rows, -1) if work.batch else (work.rows, -1)
    return W.detach().reshape(shape).numpy()


def first_rows(net: Net, work: Work) -> Net:
    """The outputs asked for, as a vector, of one instance without its batch axis."""
    return lambda x: net(x[None])[0, : work.rows]


def backward_calls(work: Work) -> Job:
    """One forward pass, one backward call for every row; for a batch over all its instances."""
    net, leaf = work.case.module, torch.from_numpy(work.xs).requires_grad_()

    def job() -> Array:
        y = net(leaf).sum(0)  # instances do not mix, so their gradients come at once
        last = work.rows - 1
        rows = [torch.autograd.grad(y[k], leaf, retain_graph=k < last)[0] for k in range(work.rows)]
        return flat(torch.stack(rows, dim=1), work)

    return job


def batched_backward(work: Work) -> Job:
    """One forward pass, one backward call with ``is_grads_batched`` for all rows."""
    if work.rows == 1:
        raise SkippedError("one row is one backward call")
    net, leaf = work.case.module, torch.from_numpy(work.xs).requires_grad_()
    seeds = torch.eye(work.rows)

    def job() -> Array:
        y = net(leaf).sum(0)[: work.rows]
        W = torch.autograd.grad(y, leaf, seeds, is_grads_batched=True)[0]
        return flat(W.transpose(0, 1), work)

    return job


def func_vjp(work: Work) -> Job:
    """`torch.func.vjp`, with `vmap` over the rows."""
    if work.batch:
        raise SkippedError("vmap(jacrev) is this over a batch")
    f, x = first_rows(work.case.module, work), torch.from_numpy(work.xs[0])
    seeds = torch.eye(work.rows)

    def job() -> Array:
        _, pull = vjp(f, x)
        return flat(vmap(lambda seed: pull(seed)[0])(seeds), work)

    return job


def func_jacrev(work: Work) -> Job:
    """`torch.func.jacrev` on the native module; only where all rows are asked, or a batch."""
    if work.rows != work.case.net.outputs:
        raise SkippedError("jacrev computes all rows; vjp + vmap is this for some")
    return jacobian(work.case.module, work)


def jacobian(net: Net, work: Work) -> Job:
    f, xs = first_rows(net, work), torch.from_numpy(work.xs)
    if work.batch:
        return lambda: flat(vmap(jacrev(f))(xs), work)
    return lambda: flat(jacrev(f)(xs[0]), work)


def converted(work: Work) -> Job:
    """onnx2torch, then jacrev over the rows asked."""
    import onnx2torch

    old = work.case.folder / f"{work.case.name}.old.onnx"
    if not old.exists():
        raise SkippedError("the older exporter, whose operator set it reads, refused")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = onnx2torch.convert(onnx.load(old)).eval().requires_grad_(requires_grad=False)
    return jacobian(net, work)


TORCH: dict[str, Callable[[Work], Any]] = {
    "torch autograd, a backward call per row": backward_calls,
    "torch autograd, is_grads_batched": batched_backward,
    "torch.func vjp + vmap": func_vjp,
    "torch.func jacrev": func_jacrev,
    "onnx2torch + jacrev": converted,
}
REFERENCE = "torch autograd, a backward call per row"
