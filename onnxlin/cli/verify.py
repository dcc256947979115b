"""``onnxlin verify``: W x + b against the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from onnxlin.cli import arguments, target
from onnxlin.cli.show import Cell, Screen
from onnxlin.errors import OptionError, ResidualError
from onnxlin.graph import Array
from onnxlin.linearizer import Linearizer
from onnxlin.readings import summary

PAST_BOUND = 4


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = "Linearise at an input, or at random ones, and test W x + b against the run."
    command = arguments.command(commands, "verify", about)
    command.add_argument("model", help="an .onnx file")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--input", help="a picture, .npy, .npz or .csv")
    where.add_argument(
        "--random",
        type=arguments.count,
        default=1,
        metavar="N",
        help="N standard normal inputs (1)",
    )
    command.add_argument("--seed", type=int, default=0, help="of the random inputs (0)")
    arguments.ends(command)
    arguments.how(command)
    arguments.pictures(command)


def run(options: Any, screen: Screen) -> int:
    """Verify a model at one input or several and return the exit code."""
    lin = target.linearizer(options)
    checks = [_check(lin, name, feeds, options) for name, feeds in _instances(options, lin)]
    ok = all(check["pass"] for check in checks)
    screen.document({"model": options.model, "checks": checks, "pass": ok})
    _show(checks, options, screen)
    return 0 if ok else PAST_BOUND


def _instances(options: Any, lin: Linearizer) -> Iterator[tuple[str, Mapping[str, Array]]]:
    if options.input is not None:
        yield options.input, target.given(options, lin).feeds
        return
    rng = np.random.default_rng(options.seed)
    for i in range(options.random):
        yield f"random {i} (seed {options.seed})", _random(lin, rng)


def _random(lin: Linearizer, rng: np.random.Generator) -> dict[str, Array]:
    """Draw standard normal inputs; axes of unknown length get 1."""
    kinds = lin.graph.inputs
    if held := [name for name, kind in kinds.items() if not kind.is_float]:
        raise OptionError(
            f"Inputs {held} hold no floats, so what is a sensible random value is unknown. Give "
            "--input with an .npz that holds all inputs."
        )
    shapes = {name: kind.shape or () for name, kind in kinds.items()}
    sizes = {name: [n if isinstance(n, int) else 1 for n in s] for name, s in shapes.items()}
    return {
        name: rng.standard_normal(size).astype(kinds[name].dtype) for name, size in sizes.items()
    }


def _check(lin: Linearizer, name: str, feeds: Mapping[str, Array], options: Any) -> dict[str, Any]:
    outputs = lin.run(dict(feeds))
    y = np.concatenate([value.ravel() for value in outputs.values()])
    rows = target.choose_rows(options.rows, (), y, target.columns(lin, feeds))
    m = target.linearise(lin, feeds, rows.rows, options)
    try:
        m.verify()
        message = None
    except ResidualError as error:
        message = str(error)
    found = summary.worst(summary.summarise(m))
    return {
        "x": name,
        "rows": len(m.rows),
        "columns": len(m.x),
        "rows_note": rows.note,
        "engine": m.engine,
        "dtype": str(m.dtype),
        "residual": None if found is None else found.residual,
        "bound": None if found is None else found.bound,
        "composition_residual": float(np.max(m.composition_residual, initial=0.0)),
        "composition_bound": float(np.max(m.composition_bound, initial=0.0)),
        "pass": message is None,
        "message": message,
    }


def _show(checks: list[dict[str, Any]], options: Any, screen: Screen) -> None:
    screen.line(f"{options.model}: W x + b against onnxruntime, and against its own float64 pass")
    columns = ["x", "rows", "residual", "bound", "float64 residual", "float64 bound", "verdict"]
    names = ("residual", "bound", "composition_residual", "composition_bound")
    rows: list[list[Cell]] = [
        [
            check["x"],
            check["rows"],
            *("-" if check[name] is None else f"{check[name]:.2e}" for name in names),
            "PASS" if check["pass"] else "FAIL",
        ]
        for check in checks
    ]
    screen.table(columns, rows)
    if note := checks[0]["rows_note"]:
        screen.line(note)
    failed = [check for check in checks if not check["pass"]]
    screen.line()
    screen.verdict(not failed, f"{len(checks) - len(failed)} of {len(checks)} inputs")
    for check in failed:
        screen.line(f"{check['x']}: {check['message']}")
