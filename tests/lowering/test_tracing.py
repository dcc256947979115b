"""What NumPy does to arrays, traced arrays write into a graph: each function on both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from scipy import special

import onnxlin
from onnxlin.load.newest import NEWEST_RUNNABLE
from onnxlin.lowering import Emitter, NotStaticError, Traced
from onnxlin.lowering.facts import Fact
from onnxlin.lowering.traced import FUNCTIONS, UFUNCS
from tests import small

# Kernels of elementary functions err by as many units in the last place; see rules/smooth.py.
ULPS = 16
F = np.array([[0.5, -1.5, 2.25], [-0.25, 3.0, 0.0]], np.float32)
POSITIVE = np.abs(F) + np.float32(0.25)
SMALL = F / np.float32(4)
I = np.array([[5, -7, 2], [-3, 4, 1]])  # noqa: E741  # integers
B = F > 0
PLACES = np.array([[2, 0, 1], [1, 1, 0]])

Operands = tuple[Any, ...]


def added(a: Any) -> Any:
    """Changed in place."""
    a = a + 0
    a += 1
    return a


CASES: dict[str, tuple[Callable[..., Any], Operands]] = {
    # Of one array, entry by entry
    **{
        f.__name__: (f, (x,))
        for x, functions in (
            (F, (np.negative, np.absolute, np.sign, np.floor, np.ceil, np.rint, np.exp, np.sin)),
            (F, (np.cos, np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh, np.square, np.tan)),
            (F, (special.expit, special.erf, special.ndtr, special.exprel, np.expm1)),
            (POSITIVE, (np.log, np.sqrt, np.reciprocal, np.log1p)),
            (POSITIVE + 1, (np.arccosh,)),
            (SMALL, (np.arcsin, np.arccos, np.arctanh)),
            (np.array([1, np.nan, np.inf, -np.inf], np.float32), (np.isnan, np.isinf)),
            (np.array([1, np.inf, -np.inf], np.float32), (np.isfinite, np.isneginf)),
            (B, (np.logical_not, np.invert)),
        )
        for f in functions
    },
    # Of two
    **{
        f.__name__: (f, (F, POSITIVE))
        for f in (np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.hypot)
    },
    **{
        f.__name__: (f, (F, F[:1]))
        for f in (np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal)
    },
    **{
        f.__name__: (f, (B, ~B[:1]))
        for f in (np.logical_and, np.logical_or, np.logical_xor, np.bitwise_and, np.bitwise_or)
    },
    "bitwise_xor": (np.bitwise_xor, (B, B[::-1])),
    "power": (np.power, (POSITIVE, F)),
    "matmul": (np.matmul, (F, F.T)),
    "logaddexp": (np.logaddexp, (F, POSITIVE)),
    "floor_divide": (lambda a, b: a // b, (I, PLACES + 2)),
    "floor_divide of floats": (lambda a, b: a // b, (F, POSITIVE)),
    "remainder": (lambda a, b: a % b, (I, PLACES + 2)),
    "divmod": (lambda a: np.divmod(a, 3)[0] * 10 + np.divmod(a, 3)[1], (I,)),
    # Over axes
    "sum": (lambda a: a.sum(axis=-1), (F,)),
    "sum of all": (np.sum, (F,)),
    "sum of none": (lambda a: a.sum(axis=()), (F,)),
    "sum in another type": (lambda a: np.sum(a, axis=0, dtype=np.int64), (B,)),
    "mean": (lambda a: np.mean(a, axis=(0, 1), keepdims=True), (F,)),
    "prod": (lambda a: np.prod(a, axis=1), (F,)),
    "max": (lambda a: a.max(axis=0), (F,)),
    "max with a floor": (lambda a: np.max(a, axis=1, initial=2.5), (F,)),
    "min": (lambda a: np.min(a, axis=1, initial=-1.0), (F,)),
    "any": (lambda a: np.any(a, axis=1), (B,)),
    "all": (lambda a: np.all(a, axis=0, keepdims=True), (B,)),
    "argmax": (lambda a: np.argmax(a, axis=1), (F,)),
    "argmax of all": (np.argmax, (F,)),
    "argmin": (lambda a: np.argmin(a, axis=-1, keepdims=True), (F,)),
    "cumsum": (lambda a: np.cumsum(a, axis=1), (F,)),
    "cumprod": (lambda a: np.cumprod(a, axis=0), (F,)),
    "einsum": (lambda a, b: np.einsum(a, [0, 1], b, [2, 1], [2, 0]), (F, POSITIVE)),
    # Choices
    "where": (np.where, (B, F, POSITIVE)),
    "where, known": (lambda a, b: np.where(np.ones((2, 3), bool), a, b), (F, POSITIVE)),
    "where, known not": (lambda a, b: np.where(np.zeros((2, 3), bool), a, b), (F, POSITIVE)),
    "where, known in part": (lambda a, b: np.where(B, a, b), (F, POSITIVE)),
    "clip": (lambda a: np.clip(a, -1, 2), (F,)),
    "clip below": (lambda a: np.clip(a, 0.0, None), (F,)),
    "clip above": (lambda a: np.clip(a, None, 0.0), (F,)),
    # Layout
    "reshape": (lambda a: np.reshape(a, (3, -1)), (F,)),
    "reshape to the same": (lambda a: a.reshape(2, 3), (F,)),
    "ravel": (np.ravel, (F,)),
    "transpose": (np.transpose, (F,)),
    "transpose back": (lambda a: a.transpose(np.array([0, 1])), (F,)),
    "T": (lambda a: a.T, (F,)),
    "swapaxes": (lambda a: np.swapaxes(a, 0, 1), (F,)),
    "moveaxis": (lambda a: np.moveaxis(a[None], (0, 2), (2, 0)), (F,)),
    "expand_dims": (lambda a: np.expand_dims(a, 1), (F,)),
    "squeeze": (lambda a: np.squeeze(a[None, :, :1]), (F,)),
    "squeeze one": (lambda a: np.squeeze(a[None], axis=0), (F,)),
    "concatenate": (lambda a, b: np.concatenate([a, b, np.ones((2, 1))], axis=-1), (F, F)),
    "stack": (lambda a, b: np.stack([a, b], axis=-1), (F, POSITIVE)),
    "broadcast_to": (lambda a: np.broadcast_to(a, (2, 2, 3)), (F,)),
    "broadcast_to one axis": (lambda a: np.broadcast_to(a, 3), (F[0, :1],)),
    "broadcast_to the same": (lambda a: np.broadcast_to(a, (2, 3)), (F,)),
    "broadcast_arrays": (lambda a, b: sum(np.broadcast_arrays(a, b)), (F, F[:1])),
    # Reading
    "an entry": (lambda a: a[1, -1], (F,)),
    "a new axis": (lambda a: a[:, None, ::-1], (F,)),
    "backwards in part": (lambda a: a[..., 1::-1], (F,)),
    "positions": (lambda a: a[:, PLACES], (F,)),
    "positions in a list": (lambda a: a[[1, 0, 1]], (F,)),
    "a known mask": (lambda a: a[B], (F,)),
    "a known mask of rows": (lambda a: a[np.array([True, False])], (F,)),
    "positions that are traced": (lambda a, i: a[:, i], (F, PLACES[0])),
    "take": (lambda a: np.take(a, PLACES), (F,)),
    "take_along_axis": (lambda a, i: np.take_along_axis(a, i, axis=1), (F, PLACES)),
    # What depends on the shape alone
    "zeros_like": (lambda a: a + np.zeros_like(a), (F,)),
    "ones_like": (lambda a: a + np.ones_like(a, dtype=np.float32), (F,)),
    "full_like": (lambda a: a + np.full_like(a, 2.5), (F,)),
    "facts": (lambda a: a * np.size(a) + np.ndim(a) + np.shape(a)[0] + len(a), (F,)),
    "result_type": (lambda a: a.astype(np.result_type(a, np.float32)), (I,)),
    "copy": (np.copy, (F,)),
    "added in place": (added, (F,)),
}


def run(function: Callable[..., Any], operands: Operands, dtype: Any) -> Any:
    """Write a function into a graph, at an example that is not the operands, and run it."""
    graph = Emitter(dtype)
    given = {f"x{i}": x for i, x in enumerate(operands)}
    graph.facts |= dict.fromkeys(given, Fact.NONE)  # some hold infinities
    examples = [np.zeros_like(x) if x.dtype != bool else ~x for x in operands]
    made = function(*(Traced(graph, n, e) for n, e in zip(given, examples, strict=True)))
    kinds = {n: onnx.helper.np_dtype_to_tensor_dtype(x.dtype) for n, x in given.items()}
    info = onnx.helper.make_tensor_value_info
    graph.add(onnx.helper.make_node("Identity", [made.name], ["y"]))
    kind = onnx.helper.np_dtype_to_tensor_dtype(graph.computed_in(made.dtype))
    body = onnx.helper.make_graph(
        graph.finished(["y"]),
        "function",
        [info(n, kinds[n], x.shape) for n, x in given.items()],
        [info("y", kind, made.shape)],
        [onnx.numpy_helper.from_array(a, n) for n, a in graph.stored.items()],
    )
    opset = onnx.helper.make_opsetid("", NEWEST_RUNNABLE)
    model = onnx.helper.make_model(body, opset_imports=[opset], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    read = {i.name for i in session.get_inputs()}
    (found,) = session.run(None, {n: x for n, x in given.items() if n in read})
    return found


@pytest.mark.parametrize("name", CASES)
def test_traced_arrays_do_what_arrays_do(name: str) -> None:
    function, operands = CASES[name]
    wanted = np.asarray(function(*operands))
    found = run(function, operands, np.float32)
    assert found.shape == wanted.shape
    if wanted.dtype.kind == "f":
        unit = np.finfo(np.float32).eps / 2
        np.testing.assert_allclose(found, wanted, rtol=ULPS * unit, atol=ULPS * unit)
    else:
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_every_function_of_the_tables_has_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[Any] = set()
    for table in (UFUNCS, FUNCTIONS):
        for key, true in list(table.items()):

            def noted(*arguments: Any, key: Any = key, true: Any = true, **options: Any) -> Any:
                used.add(key)
                return true(*arguments, **options)

            monkeypatch.setitem(table, key, noted)
    for function, operands in CASES.values():
        graph = Emitter(np.float32)
        function(*(Traced(graph, f"x{i}", x) for i, x in enumerate(operands)))
    assert used == {*UFUNCS, *FUNCTIONS}


DECISIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "bool": (lambda a: bool(a[0, 0] > 0), "a decision depends on the values at x"),
    "int": (lambda a: int(a[0, 0]), "a decision depends"),
    "float": (lambda a: float(a[0, 0]), "a decision depends"),
    "iteration": (list, "a decision depends"),
    "array": (np.asarray, "a decision depends"),
    "assignment": (lambda a: a.__setitem__(0, 1), "a decision depends"),
    "nonzero": (lambda a: np.where(a > 0), "the number of entries depends on the values at x"),
    "mask": (lambda a: a[a > 0], "the number of entries depends"),
    "two arrays": (lambda a: a[PLACES[0], PLACES[1]], "several arrays of positions"),
    "integers": (lambda a: a.astype(np.int64) & 3, r"numpy\.bitwise_and of integers has no form"),
    "ufunc": (np.cbrt, r"numpy\.cbrt \(__call__\) has no form in a graph"),
    "method": (np.add.reduce, r"numpy\.add \(reduce\) has no form in a graph"),
    "function": (np.median, r"numpy\.median has no form in a graph"),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_what_only_a_run_can_tell_is_refused(name: str) -> None:
    call, message = DECISIONS[name]
    with pytest.raises(NotStaticError, match=message):
        call(Traced(Emitter(np.float32), "x", F))


def test_a_traced_array_says_what_it_is() -> None:
    x = Traced(Emitter(np.float32), "x", F)
    assert repr(x) == "<Traced x float32[2, 3]>"
    assert (x.size, x.ndim, len(x)) == (6, 2, 2)
    with pytest.raises(AttributeError, match="a traced array has no 'nothing'"):
        _ = x.nothing


def test_a_product_over_a_long_axis_is_few_nodes() -> None:
    """Found by the fuzzer: 4 nodes for each entry were minutes, and a RecursionError."""
    text = "g (float[1,LENGTH] x) => (float[1,1] y) { y = ReduceProd(x) }"
    nodes = {}
    for length in (1, 2, 5, 300, 3000):
        proto = small.model(text.replace("LENGTH", str(length)))
        nodes[length] = len(onnxlin.compile_model(proto).graph.node)
        x = np.random.default_rng(length).uniform(0.9, 1.1, (1, length)).astype(np.float32)
        m = onnxlin.linearize(proto, x, engine="compiled")
        swept = onnxlin.linearize(proto, x, engine="reverse").W
        np.testing.assert_allclose(m.W, swept, rtol=4 * length * 2.0**-24)  # a rounding a factor
    assert nodes[3000] < 2 * nodes[300] < 400
