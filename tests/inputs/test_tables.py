"""Tables are matched by the names of their columns; by position only where there are no names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxlin import InputError
from onnxlin.graph import TensorType
from onnxlin.inputs import Columns, read_input, read_instances

T = onnx.TensorProto
FLOATS = {"x": TensorType(T.FLOAT, ("n", 3))}
WHOLE = {"x": TensorType(T.INT64, ("n", 3))}
PIPELINE = {
    "age": TensorType(T.FLOAT, (None, 1)),
    "city": TensorType(T.STRING, (None, 1)),
    "children": TensorType(T.INT64, (None, 1)),
}
NAMES = Columns(("a", "b", "c"), "x.csv")


def write(folder: Path, text: str, name: str = "t.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


@given(st.permutations("abc"))
def test_any_order_of_columns_is_one_instance(tmp_path_factory, order) -> None:
    values = {"a": 1, "b": 2.5, "c": 3}
    text = ",".join(order) + "\n" + ",".join(str(values[name]) for name in order) + "\n"
    path = write(tmp_path_factory.mktemp("t"), text)
    found = read_input(path, FLOATS, columns=NAMES)
    np.testing.assert_array_equal(found.feeds["x"], [[1, 2.5, 3]])
    assert found.names == ("a", "b", "c")
    assert bool(found.notes) == (order != list("abc"))
    stack = read_instances([path], FLOATS, columns=NAMES).stacks["x"]
    np.testing.assert_array_equal(stack, [[1, 2.5, 3]])


def test_a_second_table_is_read_like_the_first(tmp_path) -> None:
    x = read_input(write(tmp_path, "b,a,c\n2,1,3\n", "x.csv"), FLOATS)
    np.testing.assert_array_equal(x.feeds["x"], [[2, 1, 3]])
    other = read_input(write(tmp_path, "a,b,c\n10,20,30\n"), FLOATS, like=x)
    np.testing.assert_array_equal(other.feeds["x"], [[20, 10, 30]])
    assert other.notes == ("the columns of t.csv are matched by name with those of x.csv",)
    plain = read_input(write(tmp_path, "20,10,30\n"), FLOATS, like=x)
    np.testing.assert_array_equal(plain.feeds["x"], [[20, 10, 30]])
    assert plain.notes == ("t.csv has no header: its columns are taken in the order of x.csv",)


def test_names_that_look_like_numbers_are_names(tmp_path) -> None:
    years = Columns(("2001", "2002", "2003"), "the model")
    found = read_input(write(tmp_path, "2003,2001,2002\n3,1,2\n"), FLOATS, columns=years)
    np.testing.assert_array_equal(found.feeds["x"], [[1, 2, 3]])


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("a,b,d", r"lacks the columns 'c'; it has columns that are not known, 'd'.*x\.csv: 'a'"),
        ("a,b", r"lacks the columns 'c'\. The columns are matched by name"),
        ("a,b,c,d", r"has columns that are not known, 'd'\. "),
        ("a,b,b,c", r"has more than once 'b'\. "),
    ],
)
def test_columns_that_differ_are_named(tmp_path, header, words) -> None:
    path = write(tmp_path, f"{header}\n{','.join('1' * len(header.split(',')))}\n")
    with pytest.raises(InputError, match=words):
        read_input(path, FLOATS, columns=NAMES)
    with pytest.raises(InputError, match=words):
        read_instances([path], FLOATS, columns=NAMES)


def test_a_blank_cell_makes_no_header(tmp_path) -> None:
    """The first of many rows must not be lost."""
    with pytest.raises(InputError, match="row 1: '' is no number"):
        read_instances([write(tmp_path, "1,,3\n4,5,6\n")], FLOATS)


def test_a_column_for_each_input(tmp_path) -> None:
    path = write(tmp_path, "city,children,age\nOslo,2,30.5\n")
    found = read_input(path, PIPELINE)
    assert found.feeds["city"].tolist() == [["Oslo"]]
    assert found.feeds["children"].dtype == np.int64
    assert {name: value.tolist() for name, value in found.feeds.items()} == {
        "age": [[30.5]],
        "city": [["Oslo"]],
        "children": [[2]],
    }
    many = read_instances([write(tmp_path, "city,labels,children,age\nOslo,yes,2,3\nRom,no,0,4")],
                          PIPELINE)  # fmt: skip
    assert many.labels.tolist() == ["yes", "no"]
    assert {name: stack.shape for name, stack in many.stacks.items()} == dict.fromkeys(
        PIPELINE, (2, 1, 1)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("city,children\nOslo,2\n", "lacks the columns 'age'"),
        ("city,children,age\nOslo,two,3\n", "row 2, column 'children': 'two' is no number"),
        ("city,children,age\nOslo,2.5,3\n", r"Column 'children' of t.csv .*Entry \[0\] is 2\.5"),
        ("city,children,age\nOslo,2,3\nRom,1,4\n", "holds several rows; keep the one"),
        ("1,2,3\n", "has 3 inputs, and the table has no header"),
    ],
)
def test_a_table_that_does_not_fit_the_inputs(tmp_path, text, words) -> None:
    with pytest.raises(InputError, match=words):
        read_input(write(tmp_path, text), PIPELINE)
    wide = {**PIPELINE, "more": TensorType(T.FLOAT, (1, 4))}
    with pytest.raises(InputError, match=r"take more than a column each: 'more': float32\[1x4\]"):
        read_input(write(tmp_path, text), wide)


@pytest.mark.parametrize("read", [read_input, lambda path, kinds: read_instances([path], kinds)])
def test_decimals_are_no_integers(tmp_path, read) -> None:
    with pytest.raises(
        InputError, match=r"Input 'x' in t\.csv has dtype float64; .*Entry \[0, 1\]"
    ):
        read(write(tmp_path, "1,2.5,3\n"), WHOLE)
    # Beyond what float64 counts: an identifier, say.
    found = read(write(tmp_path, "1,9007199254740993,3\n"), WHOLE)
    stack = found.feeds["x"] if hasattr(found, "feeds") else found.stacks["x"]
    assert stack.tolist() == [[1, 9007199254740993, 3]]
    for text in ("1,99999999999999999999,3\n", "1,nan,3\n", "1,2,3\n1,1_0,3\n"):
        with pytest.raises(InputError, match=r"is no (whole )?number|does not fit"):
            read(write(tmp_path, text), WHOLE)
