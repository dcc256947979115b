"""audit --each says what the audits of a data set add up to."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from onnxlin import data
from tests.data.stores import LENET, digits


@pytest.fixture
def stack() -> tuple[str, ...]:
    """A net, samples, and their contributions to the largest output: one is off, one unreadable."""
    lin, xs = onnxlin.Linearizer(LENET), digits(4)
    rows = [int(lin.run(x[None])["logits"].argmax()) for x in xs]
    maps = np.stack([m.contributions[0] for m in lin.map(xs, each=rows)]).astype(np.float32)
    maps[2] += 1
    xs[3, 0, 0, 0] = np.nan
    np.save("xs.npy", xs)
    np.save("maps.npy", maps.reshape(4, 1, 28, 28))
    (np.arange(4) % 10).astype(str).tofile("labels.txt", sep="\n")
    return str(LENET), "xs.npy", "maps.npy"


def test_it_says_what_the_library_says(run, run_json, stack) -> None:
    code, out, err = run("audit", *stack, "--each")
    assert (code, err) == (4, "")
    for words in (
        "data    xs.npy, 4 samples",
        "Pearson correlation",
        "FAIL  W x + b equals F(x) within its bound at 3 of 4 samples",
        "sample 3: InputError",
    ):
        assert words in out
    found = run_json("audit", *stack, "--each", "--limit", "3")
    expected = data.audit(*stack, limit=3)
    assert found["agreement"]["cosine"]["mean"] == expected.agreement["cosine"].mean
    assert found["adds_up"] == expected.adds_up
    assert found["adds_up"]["W x"] == 2
    assert (found["samples"], found["failed"], found["rows"]) == (3, 0, "predicted")


def test_which_output_is_explained(run_json, run, stack) -> None:
    more = ("--each", "--limit", "2")
    assert run_json("audit", *stack, *more, "--class", "3")["rows"] == [3]
    assert run_json("audit", *stack, *more, "--labels", "labels.txt")["rows"] == "labels"
    code, _, err = run("audit", *stack, *more, "--class", "3", "--labels", "labels.txt")
    assert code == 1
    assert "--class and --labels exclude each other" in err


def test_options_of_one_map_and_of_many(run, stack) -> None:
    code, _, err = run("audit", *stack, "--each", "--judge")
    assert code == 1
    assert "--judge is about one map; leave it out, or --each" in err
    code, _, err = run("audit", *stack, "--workers", "2")
    assert code == 1
    assert "--workers is about a data set: give --each" in err
