"""Entrywise functions of NumPy and SciPy as nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from onnxlin.lowering.facts import surely_finite
from onnxlin.lowering.traced import (
    UFUNCS,
    NotStaticError,
    Traced,
    emit,
    emitter_of,
    example,
    tensor,
    wrap,
)

PLAIN = {
    np.add: "Add",
    np.subtract: "Sub",
    np.multiply: "Mul",
    np.true_divide: "Div",
    np.power: "Pow",
    np.maximum: "Max",
    np.minimum: "Min",
    np.matmul: "MatMul",
    np.negative: "Neg",
    np.absolute: "Abs",
    np.sign: "Sign",
    np.floor: "Floor",
    np.ceil: "Ceil",
    np.rint: "Round",
    np.reciprocal: "Reciprocal",
    np.exp: "Exp",
    np.log: "Log",
    np.sqrt: "Sqrt",
    np.sin: "Sin",
    np.cos: "Cos",
    np.tan: "Tan",
    np.arcsin: "Asin",
    np.arccos: "Acos",
    np.arctan: "Atan",
    np.sinh: "Sinh",
    np.cosh: "Cosh",
    np.tanh: "Tanh",
    np.arcsinh: "Asinh",
    np.arccosh: "Acosh",
    np.arctanh: "Atanh",
    np.remainder: "Mod",
    special.expit: "Sigmoid",
    special.erf: "Erf",
}
"""One node each, all operands and the result of one type."""

COMPARISONS = {
    np.greater: "Greater",
    np.greater_equal: "GreaterOrEqual",
    np.less: "Less",
    np.less_equal: "LessOrEqual",
    np.equal: "Equal",
}

LOGICAL = {
    np.logical_and: "And",
    np.logical_or: "Or",
    np.logical_xor: "Xor",
    np.logical_not: "Not",
    np.bitwise_and: "And",
    np.bitwise_or: "Or",
    np.bitwise_xor: "Xor",
    np.invert: "Not",
}


def value_of(ufunc: Any, operands: tuple[Any, ...]) -> Any:
    """Compute the example's value; what overflows there may do so."""
    with np.errstate(all="ignore"):
        return ufunc(*(example(x) for x in operands))


def _plain(ufunc: Any, op_type: str) -> Callable[..., Traced]:
    return lambda *operands: emit(op_type, operands, value_of(ufunc, operands))


def _comparison(ufunc: Any, op_type: str) -> Callable[..., Traced]:
    def compare(a: Any, b: Any) -> Traced:
        graph = emitter_of(a, b)
        kind = np.result_type(example(a), example(b))
        names = [tensor(graph, x, kind) for x in (a, b)]
        return wrap(graph, graph(op_type, *names), value_of(ufunc, (a, b)))

    return compare


def _logical(ufunc: Any, op_type: str) -> Callable[..., Traced]:
    def combine(*operands: Any) -> Traced:
        value = value_of(ufunc, operands)
        if value.dtype != bool:
            raise NotStaticError(f"numpy.{ufunc.__name__} of integers has no form in a graph")
        return emit(op_type, operands, value)

    return combine


for _ufunc, _op_type in PLAIN.items():
    UFUNCS[_ufunc] = _plain(_ufunc, _op_type)
for _ufunc, _op_type in COMPARISONS.items():
    UFUNCS[_ufunc] = _comparison(_ufunc, _op_type)
for _ufunc, _op_type in LOGICAL.items():
    UFUNCS[_ufunc] = _logical(_ufunc, _op_type)


def means(ufunc: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a ufunc as a formula of others."""

    def register(formula: Callable[..., Any]) -> Callable[..., Any]:
        UFUNCS[ufunc] = formula
        return formula

    return register


@means(np.not_equal)
def _not_equal(a: Any, b: Any) -> Any:
    return ~(a == b)


@means(np.square)
def _square(x: Any) -> Any:
    return x * x


@means(np.floor_divide)
def _floor_divide(a: Any, b: Any) -> Any:
    if np.result_type(example(a), example(b)).kind != "f":
        # Division of ONNX cuts towards zero.
        return emit("Div", (a - a % b, b), value_of(np.floor_divide, (a, b)))
    return np.floor(a / b)


@means(np.divmod)
def _divmod(a: Any, b: Any) -> tuple[Any, Any]:
    return a // b, a % b


@means(np.isnan)
def _isnan(x: Any) -> Any:
    if surely_finite(x.emitter, x.name):
        return np.zeros(x.shape, bool)
    return wrap(x.emitter, x.emitter("IsNaN", x.name), np.isnan(x.example))


@means(np.isfinite)
def _isfinite(x: Any) -> Any:
    if surely_finite(x.emitter, x.name):
        return np.ones(x.shape, bool)
    return np.abs(x) < np.inf


@means(np.isinf)
def _isinf(x: Any) -> Any:
    return np.abs(x) == np.inf


@means(np.hypot)
def _hypot(a: Any, b: Any) -> Any:
    return np.sqrt(a * a + b * b)


@means(np.expm1)
def _expm1(x: Any) -> Any:
    """``2 t / (1 - t)`` with ``t = tanh(x / 2)``: no digits are lost near 0; exp above 1."""
    small = np.minimum(x, 1)
    t = np.tanh(small / 2)
    return np.where(x > 1, np.exp(x) - 1, 2 * t / (1 - t))


@means(np.log1p)
def _log1p(x: Any) -> Any:
    """Kahan's form: ``x log(u) / (u - 1)`` with ``u = 1 + x`` rounded."""
    u = 1 + x
    lost = u == 1
    return np.where(lost, x, np.log(u) * x / np.where(lost, 1, u - 1))


@means(np.logaddexp)
def _logaddexp(a: Any, b: Any) -> Any:
    return np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b)))


@means(special.ndtr)
def _ndtr(x: Any) -> Any:
    """Distribution function of the normal distribution."""
    return (1 + special.erf(x * np.sqrt(0.5))) * 0.5


@means(special.exprel)
def _exprel(x: Any) -> Any:
    """``(exp(x) - 1) / x``, 1 at 0."""
    zero = x == 0
    return np.where(zero, 1, np.expm1(x) / np.where(zero, 1, x))
