"""Every way into onnxlin, each as a function of a broken input."""

from __future__ import annotations

import contextlib
import io
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import onnxlin
from onnxlin import AffineMap, Linearizer, cli, errors, readings
from onnxlin.engines.plan import NAMES
from onnxlin.inputs import Preprocessing, read_input, read_instances, read_labels
from onnxlin.readings.path import walk
from onnxlin.runtime.session import MESSAGES, for_compiled, opened, run, without_optimisers
from onnxlin.section import MODES
from onnxlin.testing import assert_linearizes
from tests.fuzz import samples
from tests.fuzz.broken import Broken
from tests.fuzz.verdicts import WrongError

Entry = Callable[[Broken, random.Random, Path], None]
# What draws its own numbers, or may: another run of it is another result.
RANDOM = {
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial",
    "Bernoulli", "Dropout",
}  # fmt: skip


def check(broken: Broken, rng: random.Random, folder: Path) -> None:
    report = onnxlin.check_model(broken.data, compiles=rng.choice((None, None, False)))
    report.as_dict()


def check_proto(broken: Broken, rng: random.Random, folder: Path) -> None:
    onnxlin.check_model(_proto(broken), compiles=False)


def linearize(broken: Broken, rng: random.Random, folder: Path) -> None:
    m = onnxlin.linearize(
        broken.data,
        broken.x,
        rows=rng.choice((None, None, [0])),
        mode=rng.choice(MODES),
        rounding=rng.choice(("staircase", "staircase", "straight-through")),
        engine=rng.choice(("auto", *NAMES)),
        dtype=rng.choice((None, None, np.float64)),
        memory=2**28,
    )
    require_right(m, broken)


def linearizer(broken: Broken, rng: random.Random, folder: Path) -> None:
    lin = Linearizer(broken.data, mode=rng.choice(MODES), memory=2**28)
    m = lin(broken.x)
    require_right(m, broken)
    m.save(folder / "map.npz")
    again = AffineMap.load(folder / "map.npz")
    if not np.array_equal(again.W, m.W, equal_nan=True):
        raise WrongError("a map that was saved and loaded has another W")
    stacked = {name: np.stack([value, value]) for name, value in broken.x.items()}
    for one in lin.map(stacked, engine=rng.choice(("auto", "compiled"))):
        one.verify()


def compile_(broken: Broken, rng: random.Random, folder: Path) -> None:
    x = rng.choice((None, broken.x))
    made = onnxlin.compile_model(broken.data, x=x, mode=rng.choice(MODES))
    try:
        opened(made, for_compiled(threads=1))
    except MESSAGES as error:
        # Types that onnxruntime has no kernels for, or that do not fit each other, are the model's.
        with contextlib.suppress(*MESSAGES):
            opened(_proto(broken), without_optimisers(threads=1))
            raise WrongError(
                f"the model opens, and what it is compiled to does not: {error}"
            ) from error


def laws(broken: Broken, rng: random.Random, folder: Path) -> None:
    assert_linearizes(
        broken.data, rng.choice((None, broken.x)), laws=rng.choice((*[["at-x"]] * 19, None))
    )


READINGS: dict[str, Callable[[AffineMap], object]] = {
    "report": readings.report,
    "ledger": readings.ledger,
    "bias_maps": readings.bias_maps,
    "contributions": readings.contributions,
    "live_units": readings.live_units,
    "structural_zero": readings.structural_zero,
    "spread_bias": readings.spread_bias,
    "norms": readings.norms,
    "spectrum": lambda m: readings.spectrum(m, k=1),
    "to_dot": readings.to_dot,
    "region": lambda m: readings.Region(m).radius(norm="l2"),
    "html": lambda m: m._repr_html_(),
    "pattern": lambda m: (m.pattern_key, m.near_kinks(1e-3), m.layers, repr(m)),
    "to_onnx": lambda m: m.to_onnx(),
}


def read(broken: Broken, rng: random.Random, folder: Path) -> None:
    m = onnxlin.linearize(broken.data, broken.x, memory=2**28)
    for name in rng.sample(sorted(READINGS), 4):
        READINGS[name](m)


def path(broken: Broken, rng: random.Random, folder: Path) -> None:
    lin = Linearizer(broken.data, memory=2**28)
    other = {n: v + 1 if v.dtype.kind == "f" else v for n, v in broken.x.items()}
    walk(lin, broken.x, other, rows=[0], pieces=50)


def command(broken: Broken, rng: random.Random, folder: Path) -> None:
    """A command, in this process: a text and a documented exit code, never an exception."""
    model, x = folder / "model.onnx", folder / "x.npz"
    model.write_bytes(broken.data)
    np.savez(x, allow_pickle=False, **broken.x)
    m, i = str(model), str(x)
    asked = rng.choice((
        ["check", m],
        ["check", m, "--compiling", "no"],
        ["explain", m, i, "--no-files", "--rows", "0"],
        ["verify", m, "--random", "1", "--laws", "at-x", "--no-files", "--seconds", "5"],
        ["verify", m, "--input", i, "--no-files", "--seconds", "5"],
        ["region", m, i, "--no-search", "--rows", "0"],
        ["path", m, i, i, "--no-files"],
        ["compare", m, m, i],
        ["compile", m, "-o", str(folder / "out.onnx")],
    ))  # fmt: skip
    _run([*asked, *rng.choice(([], ["--json"]))])


def load_map(broken: Broken, rng: random.Random, folder: Path) -> None:
    file = folder / "broken.npz"
    file.write_bytes(broken.data)
    m = AffineMap.load(file)
    m.verify()
    for name in rng.sample(("report", "contributions", "norms", "html"), 2):
        READINGS[name](m)
    m.save(folder / "again.npz")


def read_x(broken: Broken, rng: random.Random, folder: Path) -> None:
    file = folder / f"x{broken.ending}"
    file.write_bytes(broken.data)
    pictured = broken.ending not in (".npy", ".npz", ".csv", ".tsv", ".txt")
    kinds = Linearizer(samples.net(pictured=pictured)).graph.inputs
    how = rng.choice((None, Preprocessing(scale=1 / 255)))
    if broken.ending == ".txt" or rng.random() < 0.2:
        read_labels(file)
    elif rng.random() < 0.5:
        read_instances([file], kinds, how)
    else:
        read_input(file, kinds, how)


def command_x(broken: Broken, rng: random.Random, folder: Path) -> None:
    model, file = folder / "model.onnx", folder / f"x{broken.ending}"
    pictured = broken.ending not in (".npy", ".npz", ".csv", ".tsv", ".txt")
    model.write_bytes(samples.net(pictured=pictured))
    file.write_bytes(broken.data)
    m, i = str(model), str(file)
    asked = rng.choice((
        ["explain", m, i, "--no-files"],
        ["evaluate", m, i, "--no-files"],
        ["regions", m, i],
        ["path", m, i, i, "--no-files"],
        ["verify", m, "--input", i, "--laws", "at-x", "--no-files"],
        ["evaluate", m, i, "--labels", i, "--no-files"],
        ["explain", m, i, "--no-files", "--rows", i],
    ))  # fmt: skip
    _run([*asked, *rng.choice(([], ["--json"]))])


ENTRIES: dict[str, dict[str, Entry]] = {
    "model": {
        "check": check,
        "check_proto": check_proto,
        "linearize": linearize,
        "linearizer": linearizer,
        "compile": compile_,
        "laws": laws,
        "readings": read,
        "path": path,
        "command": command,
    },
    "map": {"load": load_map},
    "file": {"read": read_x, "command": command_x},
}
"""Kind of input -> its entry points."""

SHARES = {
    "check": 4, "check_proto": 2, "linearize": 4, "linearizer": 0.6, "compile": 0.6,
    "laws": 0.4, "path": 0.4, "readings": 0.7,
}  # fmt: skip
"""How often an entry point is chosen, where not as often as 1: most inputs take milliseconds."""

CODES = {0, 1, 2, 3, 4, 5, 6, 7}


def _run(arguments: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(arguments)
    if code not in CODES:
        raise WrongError(f"exit code {code} of {arguments[0]}")
    # Pillow may have logged a line before.
    if code == 1 and "onnxlin: error: " not in err.getvalue():
        raise WrongError(f"{arguments[0]} failed without a word")
    if code == 4:
        raise errors.ResidualError(f"{arguments[0]}: {err.getvalue()}{out.getvalue()[:500]}")
    if "\x1b" in out.getvalue() + err.getvalue():
        raise WrongError(f"a control character in what {arguments[0]} prints")


def _proto(broken: Broken) -> onnx.ModelProto:
    try:
        return onnx.ModelProto.FromString(broken.data)
    except Exception as error:  # protobuf's own refusal, before onnxlin has anything to do
        raise errors.ModelError(str(error)) from error


def require_right(m: AffineMap, broken: Broken) -> None:
    """Hold a map against its own bound, and its run against the model opened by itself."""
    m.verify()
    proto = onnx.ModelProto.FromString(broken.data)
    if any(node.op_type in RANDOM for node in proto.graph.node) or proto.functions:
        return
    try:
        session = opened(proto, without_optimisers(threads=1))
        names = [output.name for output in session.get_outputs()]
        wanted = [name for name in m.outputs if name in names]
        found = run(
            session,
            wanted,
            {i.name: m.inputs.get(i.name, broken.x.get(i.name)) for i in session.get_inputs()},
        )
    except Exception:  # what onnxlin serves and plain onnxruntime does not is no fault
        return
    for name, value in zip(wanted, found, strict=True):
        ours = m.outputs[name]
        if ours.shape != value.shape or not np.allclose(
            ours,
            value,
            rtol=1e-3,
            atol=1e-3 * float(np.max(np.abs(value), initial=0)),
            equal_nan=True,
        ):
            raise WrongError(f"F(x) of {name!r} is not what onnxruntime makes of the model itself")


def clean(folder: Path) -> None:
    """Leave nothing for the next input."""
    for entry in os.scandir(folder):
        if entry.is_file(follow_symlinks=False):
            os.unlink(entry.path)


def chosen(broken: Broken) -> list[str]:
    """Which entry points an input goes through: two for a model, else one."""
    rng = random.Random(f"entries {broken.draw}")
    names = list(ENTRIES[broken.kind])
    found = rng.choices(
        names, [SHARES.get(name, 1) for name in names], k=2 if broken.kind == "model" else 1
    )
    return list(dict.fromkeys(found))


def hold(broken: Broken, entry: str, folder: Path) -> None:
    """Go in by one entry point."""
    rng = random.Random(f"{entry} {broken.draw}")
    ENTRIES[broken.kind][entry](broken, rng, folder)


__all__: list[Any] = ["ENTRIES", "chosen", "clean", "hold"]
