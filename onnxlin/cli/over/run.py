"""``onnxlin run``: the maps of a whole data set, into a store that can be gone on with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from onnxlin.cli import arguments, target
from onnxlin.cli.bar import Bar
from onnxlin.cli.over import way
from onnxlin.cli.screen import Screen
from onnxlin.errors import OptionError

WHAT = ("contributions", "ledger", "region", "audit", "W")
NORMS = ("l1", "l2", "linf")
FAILED = 4
SHOWN = 5


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = "Maps of a whole data set, on all cores or a cluster, into zarr; can be resumed."
    command = arguments.command(commands, "run", about, instances=True)
    command.add_argument("model", help="an .onnx file")
    way.data(command)
    command.add_argument(
        "--labels",
        metavar="FILE",
        help=".npy of class indices, or text with a label a line (those of the data)",
    )
    arguments.ends(command)
    _declare_kept(command.add_argument_group("what is kept"))
    group = command.add_argument_group("how")
    arguments.mode(group)
    arguments.engine(group)
    way.workers(group, "1")
    group.add_argument("--memory", help='of each worker, such as "4GiB" (half of what is free)')
    arguments.pictures(command)


def _declare_kept(group: Any) -> None:
    group.add_argument(
        "--out",
        metavar="STORE",
        required=True,
        help="such as results.zarr, or an address that fsspec knows",
    )
    group.add_argument(
        "--what",
        metavar="WHAT[,WHAT]",
        default="contributions",
        help=f"of {', '.join(WHAT)}; beside F(x), W x, b and the residual (contributions)",
    )
    group.add_argument(
        "--rows",
        metavar="ROWS",
        default="predicted",
        help='"predicted", "labels", "all", or outputs such as "0,3" (predicted)',
    )
    group.add_argument("--chunk", metavar="N", type=arguments.count, help="samples of a task")
    group.add_argument(
        "--dtype",
        choices=("float16", "float32", "float64"),
        help="of contributions and W (the model's); float64 is computed as such",
    )
    group.add_argument("--maps", metavar="FILE", help="of audit: an .npy with a map a sample")
    group.add_argument("--norm", choices=NORMS, help="of region (l2)")
    group.add_argument("--resume", action="store_true", help="go on with what is there")
    group.add_argument("--overwrite", action="store_true", help="begin anew")


def run(options: Any, screen: Screen) -> int:
    """Run over a data set and return the exit code."""
    from onnxlin.data import run as run_over  # an extra

    start = time.perf_counter()
    lin = target.linearizer(options)
    source = target.source(options, lin, options.data, options.labels)
    storage = arguments.storage_options(options)
    names = ("chunk", "resume", "overwrite", "workers", "scheduler", "patience", "threads")
    asked: Any = {n: getattr(options, n) for n in (*names, "dtype", "engine", "maps", "norm")}
    with Bar("samples") as bar:
        found = run_over(
            lin,
            source,
            options.out,
            tuple(part.strip() for part in options.what.split(",")),
            _rows(options.rows),
            limit=dict(options.limits).get(""),
            progress=bar,
            storage_options=storage,
            **asked,
        )
    document = {
        "model": options.model,
        "data": list(options.data),
        "data_notes": list(source.notes),
        "notes": list(lin.notes),
        "mode": lin.mode,
        **found.as_dict(),
        "errors": _errors(options.out, storage) if found.failed else [],
    }
    document["seconds"] = round(time.perf_counter() - start, 3)
    screen.document(document)
    _show(document, screen)
    return FAILED if found.failed else 0


def _rows(text: str) -> str | tuple[int, ...]:
    """Read ``--rows``: a word, or outputs by number."""
    if text in ("predicted", "labels", "all"):
        return text
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise OptionError(
            f'--rows {text!r}: expected "predicted", "labels", "all" or outputs such as "0,3".'
        ) from None


def _errors(path: str, storage: dict[str, Any]) -> list[dict[str, Any]]:
    """The first samples that have no map, and why."""
    from onnxlin.data.store import Store
    from onnxlin.data.table import failures

    return failures(Store(path, storage), SHOWN)


def _show(document: Mapping[str, Any], screen: Screen) -> None:
    screen.line(f"model   {document['model']}, {document['mode']} mode")
    screen.line(f"data    {document['samples']:,} samples")
    for note in document["data_notes"][:SHOWN]:
        screen.line(f"        {note}")
    for note in document["notes"]:
        screen.line(f"note    {note}")
    made, speed = document["made"], document["maps_a_second"]
    screen.line(f"made    {made:,} maps, {speed:,.0f} a second")
    screen.line()
    way.tell(document, screen, "samples.parquet has them")
    screen.line(f"wrote {document['path']}; xarray.open_zarr reads it")
    screen.line(f"{document['seconds']:.2f} s")
