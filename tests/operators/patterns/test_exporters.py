"""Blocks as both exporters of torch write them, and as onnxruntime fuses them: one map.

Torch is no dependency: without it this is skipped. Where it is installed beside onnxscript,
``python -m pytest tests/operators/patterns/test_exporters.py`` runs it.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from onnxlin import AffineMap, Linearizer

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
nn, F = torch.nn, torch.nn.functional

WIDTH, HEADS, LENGTH = 16, 2, 5
pytestmark = pytest.mark.filterwarnings("ignore")  # exporters warn of themselves


class RMSNorm(nn.Module):
    """As Llama and T5 write it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(1 + 0.1 * torch.randn(WIDTH))

    def forward(self, x: Any) -> Any:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


class Block(nn.Module):
    """Attention and an MLP, each behind a norm."""

    def __init__(self, norm: Any, act: Any, *, gated: bool = False, causal: bool = False) -> None:
        super().__init__()
        self.norms = nn.ModuleList([norm(), norm(), norm()])
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.gate = nn.Linear(WIDTH, 2 * WIDTH) if gated else None
        self.act, self.causal = act, causal

    def attend(self, x: Any) -> Any:
        q, k, v = (
            part.reshape(1, LENGTH, HEADS, -1).transpose(1, 2)
            for part in self.qkv(x).split(WIDTH, -1)
        )
        scores = q @ k.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5
        if self.causal:
            scores = scores + torch.full((LENGTH, LENGTH), -1e9).triu(1)
        mixed = scores.softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(1, LENGTH, WIDTH))

    def forward(self, x: Any) -> Any:
        x = x + self.attend(self.norms[0](x))
        h = self.norms[1](x)
        inner = self.act(self.up(h))
        inner = inner if self.gate is None else self.act(self.gate(h)) * self.up(h)
        return self.norms[2](x + self.down(inner))


def new_gelu(x: Any) -> Any:
    """As Hugging Face's GPT-2 writes it."""
    return 0.5 * x * (1 + torch.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x.pow(3))))


def layer_norm() -> Any:
    return nn.LayerNorm(WIDTH)


class Frames(nn.Module):
    """Convolutions of audio as wav2vec2 begins, and a mobile block's gates."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(1, 8, 5, 2), nn.Conv1d(8, 8, 3)
        self.norm, self.groups = nn.GroupNorm(8, 8), nn.GroupNorm(2, 8)
        self.squeeze = nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        x = F.gelu(self.norm(self.first(x.reshape(1, 1, -1))))
        x = F.hardswish(self.groups(self.second(x)))
        gate = F.hardsigmoid(self.squeeze(x.mean(-1)))
        return F.mish(x * gate[..., None])


BLOCKS = {
    "BERT": lambda: Block(layer_norm, F.gelu),
    "GPT-2": lambda: Block(layer_norm, new_gelu, causal=True),
    "ViT": lambda: Block(layer_norm, lambda x: F.gelu(x, approximate="tanh")),
    "CLIP": lambda: Block(layer_norm, lambda x: x * torch.sigmoid(1.702 * x), causal=True),
    "Llama": lambda: Block(RMSNorm, F.silu, gated=True, causal=True),
    "T5": lambda: Block(RMSNorm, new_gelu, gated=True),
    "GEGLU": lambda: Block(layer_norm, F.gelu, gated=True),
    "Phi": lambda: Block(nn.Identity, nn.GELU("tanh")),
    "frames": Frames,
}


def exported(net: Any, x: Any, *, dynamo: bool, opset: int) -> onnx.ModelProto:
    if dynamo:
        found = torch.onnx.export(net, (x,), dynamo=True, opset_version=opset, verbose=False)
        return onnx.ModelProto.FromString(found.model_proto.SerializeToString())
    file = io.BytesIO()
    torch.onnx.export(net, (x,), file, dynamo=False, opset_version=opset)
    return onnx.load_from_string(file.getvalue())


def fused(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """As onnxruntime saves it once it has fused what it can."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "fused.onnx")
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return onnx.load(folder / "fused.onnx")


READINGS = [("tangent", "halves"), ("frozen", "halves"), ("frozen", "held")]


@pytest.mark.parametrize("name", BLOCKS)
def test_one_map(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = BLOCKS[name]().eval(), torch.randn(1, LENGTH, WIDTH)
    graphs = {
        (kind, opset): exported(net, x, dynamo=kind == "dynamo", opset=opset)
        for kind, opset in (("script", 11), ("script", 17), ("dynamo", 18), ("dynamo", 22))
    }
    graphs |= {(*key, "fused"): fused(model, tmp_path) for key, model in graphs.items()}
    for reading in READINGS:
        maps = {key: _map(model, x, *reading) for key, model in graphs.items()}
        first = maps["dynamo", 22]
        for key, m in maps.items():
            # Constants are of float32, and folded into weights in one graph and not in another.
            size = np.abs(first.W).max() + np.abs(first.y).max()
            allowed = 64 * np.finfo(np.float32).eps * size
            for part, other in ((m.W, first.W), (m.b, first.b)):
                assert np.abs(part - other).max() < allowed, (key, reading)


def _map(model: onnx.ModelProto, x: Any, mode: str, gates: str) -> AffineMap:
    lin = Linearizer(model, mode=mode, gates=gates)
    return lin(x.numpy(), dtype=np.float64, engine="reverse").verify()
