"""JAX's jacrev, jitted, for the networks that are easily written again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from torch import nn

from tests.benchmarks.contenders import Array, Job, SkippedError, Work


def layer(module: nn.Module) -> Callable[[Any], Any]:
    """One layer of a sequential network, for one instance without its batch axis."""
    match module:
        case nn.Linear():
            weight, bias = jnp.array(module.weight.numpy()), jnp.array(module.bias.numpy())
            return lambda z: weight @ z + bias
        case nn.Conv2d():
            weight, bias = jnp.array(module.weight.numpy()), jnp.array(module.bias.numpy())
            pads = [(p, p) for p in module.padding]
            return lambda z: _conv(z, weight, bias, pads)
        case nn.MaxPool2d():
            window = (1, module.kernel_size, module.kernel_size)
            return lambda z: lax.reduce_window(z, -np.inf, lax.max, window, window, "VALID")
        case nn.ReLU():
            return jax.nn.relu
        case nn.Flatten():
            return jnp.ravel
    raise SkippedError(f"written for sequential networks without {type(module).__name__}")


def _conv(z: Any, weight: Any, bias: Any, pads: Any) -> Any:
    return lax.conv_general_dilated(z[None], weight, (1, 1), pads)[0] + bias[:, None, None]


def jacrev(work: Work) -> Job:
    """The Jacobian of the rows asked, compiled for the shapes of the run."""
    if not isinstance(work.case.module, nn.Sequential):
        raise SkippedError("written for sequential networks")
    layers = [layer(m) for m in work.case.module.modules() if not isinstance(m, nn.Sequential)]

    def f(z: Any) -> Any:
        for apply in layers:
            z = apply(z)
        return z[: work.rows]

    compiled = jax.jit(jax.vmap(jax.jacrev(f)) if work.batch else jax.jacrev(f))
    x = work.xs if work.batch else work.xs[0]
    shape = (work.batch, work.rows, -1) if work.batch else (work.rows, -1)

    def job() -> Array:
        return np.asarray(compiled(x)).reshape(shape)

    return job


JAX = {"JAX jacrev, jitted": jacrev}
