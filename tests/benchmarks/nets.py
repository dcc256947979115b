"""The networks of the benchmarks: native torch modules with seeded random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision
from torch import Tensor, nn

WIDEST = 0.01
"""How far from its kink a unit shall be at most, relative to the spread of its layer."""


@dataclass(frozen=True)
class Net:
    """How a network is made, the shape of one instance, and its number of outputs.

    ``small`` ones are also timed on a batch of instances.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    outputs: int
    small: bool = False

    def module(self) -> nn.Module:
        """Return the module in eval mode; the same weights every time."""
        torch.manual_seed(0)
        made = calibrated(self.make(), self.shape).eval().requires_grad_(requires_grad=False)
        clear_of_kinks(made, torch.from_numpy(self.instances(1)))
        return made

    def instances(self, count: int) -> np.ndarray:
        """Return seeded inputs (count, *shape), float32."""
        return np.random.default_rng(1).normal(size=(count, *self.shape)).astype(np.float32)


def calibrated(module: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Give batch norms uneven coefficients, and the statistics of a few batches of noise."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.1)
        norm.momentum = None  # the plain mean over the batches
    if norms:
        with torch.no_grad():
            for _ in range(2):
                module.train()(torch.randn(4, *shape))
    return module


def clear_of_kinks(module: nn.Module, x: Tensor) -> None:
    """Shift biases by hairs until no unit of a ReLU lies within rounding of 0 at x.

    Of some million units a few always do. There two runtimes take two sides, both maps are right,
    and comparing them says nothing. Each unit's channel is shifted by the bias added last.
    """
    last: list[Any] = []
    hooks = []

    def remember(layer: nn.Module, _x: Any, _y: Any) -> None:
        last[:] = [layer]

    def shift(_relu: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        z = args[0]
        by = clearing(z)
        last[0].bias += by
        return (z + by.reshape(1, -1, *(1,) * (z.ndim - 2)),)

    for layer in module.modules():
        if isinstance(layer, nn.ReLU):
            hooks.append(layer.register_forward_pre_hook(shift))
        elif isinstance(layer, nn.BatchNorm2d | nn.Conv2d | nn.Linear) and layer.bias is not None:
            hooks.append(layer.register_forward_hook(remember))
    module(x)
    for hook in hooks:
        hook.remove()


def clearing(z: Tensor) -> Tensor:
    """Return the least shift of every channel that brings a gap between its units to 0.

    Rounding grows with depth, the units of a channel get fewer: the gap is what they have room for.
    """
    channels = z.transpose(0, 1).flatten(1)
    margin = float(z.std()) * min(1 / channels.shape[1], WIDEST)
    shifts = torch.zeros(len(channels))
    for i, units in enumerate(channels):
        if units.abs().min() < margin:
            ends = (units.min()[None] - 3 * margin, units.max()[None] + 3 * margin)
            ordered = torch.cat([ends[0], units.sort().values, ends[1]])
            middles = ((ordered[1:] + ordered[:-1]) / 2)[ordered.diff() > 2 * margin]
            shifts[i] = -middles[middles.abs().argmin()]
    return shifts


class Lstm(nn.Module):
    """One layer over a sequence of floats, read at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(32, 128, batch_first=True)
        self.head = nn.Linear(128, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x)[0][:, -1])


class Block(nn.Module):
    """An encoder layer of BERT: attention and a GELU network, each added and normalised."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.wide, self.narrow = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)
        self.norms = nn.ModuleList([nn.LayerNorm(size), nn.LayerNorm(size)])

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.norms[0](x + self.out(mixed))
        return self.norms[1](x + self.narrow(F.gelu(self.wide(x))))


class Bert(nn.Module):
    """Four such layers on float embeddings, read at the first token."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(256, 4) for _ in range(4)))
        self.head = nn.Linear(256, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x)[:, 0])


def mlp() -> nn.Module:
    sizes = (784, 512, 512, 512)
    hidden = [(nn.Linear(*pair), nn.ReLU()) for pair in pairwise(sizes)]
    return nn.Sequential(*(layer for pair in hidden for layer in pair), nn.Linear(512, 10))


def lenet5() -> nn.Module:
    features = (
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    )  # fmt: skip
    head = (nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    return nn.Sequential(*features, *head)


def vgg16() -> nn.Module:
    """The layers of VGG16 for pictures of 32 x 32, with a small classifier."""
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    head = (nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 100))
    made = nn.Sequential(features, *head)
    for layer in made.modules():  # torch's own start would let the signal die in 16 layers
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    return made


def vit_tiny() -> nn.Module:
    made = torchvision.models.VisionTransformer(
        image_size=224, patch_size=16, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768
    )
    nn.init.normal_(made.heads.head.weight, std=0.1)  # it starts at 0, and W would be 0
    nn.init.normal_(made.class_token)
    return made


PICTURE = (3, 224, 224)
NETS = {
    "mlp": Net(mlp, (784,), 10, small=True),
    "lenet5": Net(lenet5, (1, 28, 28), 10, small=True),
    "vgg16": Net(vgg16, (3, 32, 32), 100),
    "resnet18": Net(torchvision.models.resnet18, PICTURE, 1000),
    "resnet50": Net(torchvision.models.resnet50, PICTURE, 1000),
    "densenet121": Net(torchvision.models.densenet121, PICTURE, 1000),
    "vit_tiny": Net(vit_tiny, PICTURE, 1000),
    "lstm": Net(Lstm, (64, 32), 64),
    "bert": Net(Bert, (64, 256), 64),
}
