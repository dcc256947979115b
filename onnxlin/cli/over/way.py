"""Options of the way over a data set: who works, and what is kept of every sample."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from onnxlin.cli import arguments
from onnxlin.cli.screen import Screen

DATA = "an .npy or .npz stack, zarr, .csv or .parquet with a sample a row, a folder of pictures"
"""What a data set may be, in words."""


def data(command: argparse.ArgumentParser) -> None:
    """The data set, which may be a list of pictures as well."""
    command.add_argument("data", nargs="+", help=f"{DATA}, or pictures")


def declare(command: argparse.ArgumentParser, here: str = "here") -> None:
    """How a data set is gone over; see `onnxlin.data.Way`.

    Parameters
    ----------
    here : str
        What the threads serve that are no worker's.
    """
    group = command.add_argument_group("over a data set")
    workers(group, "here, by all cores", f"of onnxruntime and BLAS, {here} (all cores) or of")
    group.add_argument(
        "--chunk", metavar="N", type=arguments.count, help="samples read and done at once"
    )
    group.add_argument(
        "--store",
        metavar="STORE",
        help="keep what is found of every sample, in results.zarr or at an address that fsspec "
        "knows",
    )
    group.add_argument("--resume", action="store_true", help="go on with the store that is there")
    group.add_argument("--overwrite", action="store_true", help="begin the store anew")


def workers(group: Any, otherwise: str, threads: str = "of") -> None:
    """Who works; see `onnxlin.data.How`."""
    group.add_argument(
        "--workers",
        metavar="N",
        type=arguments.count,
        help=f"processes of this machine ({otherwise})",
    )
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a dask cluster, such as tcp://host:8786"
    )
    group.add_argument(
        "--patience",
        metavar="SECONDS",
        type=float,
        help="in which workers have to come, or a scheduler that is lost has to be back (60)",
    )
    group.add_argument(
        "--threads", metavar="N", type=arguments.count, help=f"{threads} each worker (1)"
    )
    group.add_argument(
        "--storage-option",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="for addresses such as s3://bucket/results.zarr: what fsspec needs beside them, such "
        "as client_kwargs.endpoint_url=http://host:9000; may be given several times",
    )


NAMES = ("workers", "scheduler", "patience", "threads", "chunk", "store", "resume", "overwrite")
"""What `declare` declares."""


def read(options: Any) -> dict[str, Any]:
    """Read what `declare` has declared, and ``--limit``."""
    found = {name: getattr(options, name) for name in NAMES}
    storage = arguments.storage_options(options)
    return {**found, "limit": dict(options.limits).get(""), "storage_options": storage}


def tell(document: Mapping[str, Any], screen: Screen, others: str) -> None:
    """Give the verdict on all samples, and the first that have no map.

    Parameters
    ----------
    document : mapping
        With "samples", "failed", "residual" and "errors".
    others : str
        Where the rest of those stand.
    """
    count, failed = document["samples"], document["failed"]
    screen.verdict(
        not failed,
        f"W x + b equals F(x) within its bound at {count - failed:,} of {count:,} samples; "
        f"largest residual {document['residual']:.2e}",
    )
    for each in document["errors"]:
        screen.line(f"  sample {each['sample']}: {each['error']}")
    if failed > len(document["errors"]):
        screen.line(f"  and {failed - len(document['errors'])} more; {others}")
