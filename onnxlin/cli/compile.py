"""``onnxlin compile``: the map at any x as one ONNX model."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import onnx

from onnxlin.cli import arguments
from onnxlin.cli.screen import Screen
from onnxlin.engines.compiled import compile_model
from onnxlin.engines.compiled.export.about import PREFIX
from onnxlin.engines.compiled.export.export import DIRECTIONS
from onnxlin.engines.compiled.export.files import written
from onnxlin.errors import OptionError
from onnxlin.runtime.providers import CPU


def declare(commands: Any) -> None:
    """Add the command and what may be asked of it."""
    about = "Write the map at any x as one ONNX model: x, seeds -> y, seeds @ W, seeds @ b."
    command = arguments.command(commands, "compile", about)
    command.add_argument("model", help="an .onnx file")
    command.add_argument("-o", "--out", metavar="OUT.onnx", required=True, help="where to write it")
    arguments.ends(command)
    group = command.add_argument_group("how")
    arguments.mode(group)
    group.add_argument(
        "--direction",
        choices=DIRECTIONS,
        default=DIRECTIONS[0],
        help="rows of W from seeds, or columns from tangents (adjoint)",
    )
    group.add_argument(
        "--shares", action="store_true", help="a further output: what each node brings in to b"
    )
    group.add_argument(
        "--batch",
        action="store_true",
        help="take any number of instances along a first axis, with seeds of each",
    )
    group.add_argument(
        "--shape",
        dest="shapes",
        metavar="NAME=1,3,224,224",
        type=arguments.shape,
        action="append",
        help="of an input that the model leaves open; may be repeated",
    )
    group.add_argument(
        "--provider",
        metavar="NAME",
        default=CPU,
        help="execution provider of onnxruntime that is to run the file, installed here or not, "
        f"such as OpenVINOExecutionProvider ({CPU})",
    )
    group.add_argument(
        "--external-data",
        action="store_true",
        help="weights in a second file, OUT.onnx.data (only where one file cannot hold them)",
    )


def run(options: Any, screen: Screen) -> int:
    """Compile a model and return the exit code."""
    start = time.perf_counter()
    out = Path(options.out)
    if out.exists() and os.path.exists(options.model) and out.samefile(options.model):
        raise OptionError(f"{options.out!r} is the model itself. Give --out another name.")
    made = compile_model(
        options.model,
        out,
        inputs=options.inputs,
        outputs=options.outputs,
        mode=options.mode,
        rounding=options.rounding,
        gates=dict(options.gates),
        shapes=dict(options.shapes) if options.shapes else None,
        direction=options.direction,
        shares=options.shares,
        batch=options.batch,
        provider=options.provider,
        external_data=options.external_data or None,
    )
    document = _document(made, options)
    document["seconds"] = round(time.perf_counter() - start, 3)
    screen.document(document)
    _show(document, screen)
    return 0


def _document(made: onnx.ModelProto, options: Any) -> dict[str, Any]:
    entries = {e.key: e.value for e in made.metadata_props if e.key.startswith(PREFIX)}
    own = {key.removeprefix(PREFIX): value for key, value in entries.items()}
    plain = {key: own[key] for key in ("mode", "rounding", "direction")}
    parts = {key: json.loads(own[key]) for key in ("names", "columns", "rows", "source", "notes")}
    source = onnx.load(options.model, load_external_data=False)
    # Without any large weight there is no second file, and no older one is left.
    files = [p for p in written(made, options.out, options.external_data) if p.exists()]
    return {
        "model": options.model,
        "model_bytes": _size(options.model, source),
        "files": {str(path): path.stat().st_size for path in files},
        "nodes": {"model": len(source.graph.node), "compiled": len(made.graph.node)},
        "inputs": {info.name: _type(info) for info in made.graph.input},
        "outputs": {info.name: _type(info) for info in made.graph.output},
        **plain,
        "provider": options.provider,
        **parts,
        "shares": json.loads(own.get("shares", "null")),
    }


def _size(path: str, source: onnx.ModelProto) -> int:
    """Bytes of a model's file, and of the files that it names beside it."""
    weights = (e.value for t in source.graph.initializer for e in t.external_data
               if e.key == "location")  # fmt: skip
    beside = {Path(path).parent / name for name in weights}
    return sum(file.stat().st_size for file in [Path(path), *beside])


def _type(info: onnx.ValueInfoProto) -> dict[str, Any]:
    tensor = info.type.tensor_type
    shape = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
    return {"type": onnx.TensorProto.DataType.Name(tensor.elem_type).lower(), "shape": shape}


def _show(document: dict[str, Any], screen: Screen) -> None:
    nodes = document["nodes"]
    total = sum(document["files"].values())
    screen.line(
        f"{document['model']}: {nodes['model']} nodes, {document['model_bytes']:,} bytes -> "
        f"{nodes['compiled']} nodes, {total:,} bytes"
    )
    for note in document["notes"]:
        screen.line(f"note: {note}")
    screen.line(
        f"{document['direction']} direction, {document['mode']} mode; "
        f"rounding: {document['rounding']}"
    )
    for what in ("inputs", "outputs"):
        screen.heading(what)
        rows = [
            [name, kind["type"], " x ".join(map(str, kind["shape"])) or "scalar"]
            for name, kind in document[what].items()
        ]
        screen.table(["name", "type", "shape"], rows)
    screen.heading("To run it with onnxruntime alone")
    given = ", ".join(f'"{name}": ...' for name in document["inputs"])
    first = next(iter(document["files"]))
    by = f', providers=["{document["provider"]}"]' if document["provider"] != CPU else ""
    screen.line(f'  session = onnxruntime.InferenceSession("{first}"{by})')
    screen.line(f"  session.run(None, {{{given}}})")
    screen.line()
    for path, size in document["files"].items():
        screen.line(f"wrote {path}, {size:,} bytes")
    screen.line(f"{document['seconds']:.2f} s")
