"""What a person asks of a map, on the fixture LeNet and its digits; needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import onnxlin
from onnxlin import readings
from tests.benchmarks.tables import ms, table
from tests.benchmarks.timing import take_turns
from tests.benchmarks.zoo import forward

FIXTURES = Path(__file__).parents[2] / "fixtures"
LENET = FIXTURES / "lenet5_mnist.onnx"
MANY = 1000


def digit(number: int) -> Any:
    """One of the fixture's digits, (1, 1, 28, 28)."""
    pixels = Image.open(FIXTURES / f"digit_{number}.png").convert("L")
    return np.asarray(pixels, np.float32).reshape(1, 1, 28, 28) / 255


def digits(count: int) -> Any:
    """The ten digits again and again, each time under other noise."""
    ten = np.concatenate([digit(i) for i in range(10)])
    noise = np.random.default_rng(0).random((count, 1, 28, 28), dtype=np.float32)
    return np.clip(ten[np.arange(count) % 10] + 0.2 * noise, 0, 1)


def jobs(threads: int) -> dict[str, Callable[[], Any]]:
    """What is timed; every reading makes its map first."""
    lin = onnxlin.Linearizer(str(LENET))
    seven, three, many = digit(7), digit(3), digits(MANY)
    lin(seven, rows=[7], engine="compiled")
    region = readings.Region(lin(seven))
    direction = (three - seven).ravel()
    row = lambda: lin(seven, rows=[7])
    return {
        "onnxruntime forward, one image": forward(LENET, seven, threads),
        "map of one row: W and b": lambda: (row().W, row().b),
        "contributions of one row": lambda: readings.contributions(row()).values,
        "bias ledger of one row": lambda: readings.ledger(row()).by_node,
        "region: step along a direction": lambda: region.step(direction),
        "path: exact Integrated Gradients, 7 to 3": lambda: readings.walk(lin, seven, three),
        f"evaluate {MANY} digits": lambda: readings.evaluate(lin, many),
    }


def readings_table(rounds: int, threads: int) -> str:
    """One line a reading."""
    times = take_turns(jobs(threads), rounds)
    lines = [
        (name, ms(found.median), f"{ms(found.spread[0])} - {ms(found.spread[1])}")
        for name, found in times.items()
    ]
    return table(("reading, on LeNet-5", "median ms", "min - max"), lines)
