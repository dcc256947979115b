"""Operators are recognised by name in onnxlin/operators and the rules, and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import onnxlin
from onnxlin.rules import RULES

ROOT = Path(onnxlin.__file__).parent
NAMES = {name for _, name in RULES} | {"ZipMap", "StringNormalizer"}
# Here operators are what it is all about.
HOME = ("operators/", "rules/", "load/normalise/", "testing/models/makers/")
# Names of nodes that these write, or look for among nodes that this package wrote itself.
WRITERS = {
    "lowering/": "writes nodes, and looks for those that it wrote",
    "graph/typed.py": "types by schemas, and what these do not tell; runtime/, below, asks it too",
    "engines/compiled/formulas.py": "looks for formulas among the coefficients written before",
    "engines/compiled/shares.py": "looks for the Neg that a bias was written with",
    "readings/data/ensemble.py": "appends the function that the caller asked for",
    "runtime/narrow.py": "writes casts; lies beside operators/, which asks it what there is",
}


def names_of(tree: ast.AST) -> Iterator[str]:
    """Operators in a literal: a text, a list of texts, or texts in a line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split()
            if words and set(words) <= NAMES:
                yield from words


def recognised(source: str) -> list[tuple[int, str]]:
    """Lines at which operators are recognised by name: compared, or held in a table.

    A table is a set or a list of names, a mapping from them, or a text of several. A lone name in
    a call is a node that is written.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.Set | ast.MatchValue):
            parts = [node]
        elif isinstance(node, ast.List | ast.Tuple) and len(node.elts) > 1:
            parts = [node] if len(list(names_of(node))) == len(node.elts) else []
        elif isinstance(node, ast.Call) and _makes_a_set(node.func):
            parts = list(node.args)
        elif isinstance(node, ast.Constant) and len(str(node.value).split()) > 1:
            parts = [node]
        elif isinstance(node, ast.Call) and _is_prefix_test(node.func):
            found.append((node.lineno, ast.unparse(node)))
        found += [(node.lineno, name) for part in parts for name in names_of(part)]
    return sorted(set(found))


def _makes_a_set(function: ast.expr) -> bool:
    return ast.unparse(function) in ("frozenset", "set", "dict.fromkeys")


def _is_prefix_test(function: ast.expr) -> bool:
    return ast.unparse(function).endswith(("op_type.startswith", "op_type.endswith"))


def modules() -> list[str]:
    files = (file.relative_to(ROOT).as_posix() for file in ROOT.rglob("*.py"))
    return sorted(name for name in files if not name.startswith(HOME))


@pytest.mark.parametrize("module", [m for m in modules() if not m.startswith(tuple(WRITERS))])
def test_no_module_recognises_operators(module: str) -> None:
    found = recognised((ROOT / module).read_text())
    assert not found, (
        f"{module} recognises operators by name, at {found}. What is known of operators before x "
        "stands in onnxlin/operators, where every operator is held against it: ask a table or a "
        "function there. Names of nodes that a module writes belong in WRITERS, with a reason."
    )


@pytest.mark.parametrize("writer", WRITERS)
def test_no_writer_is_idle(writer: str) -> None:
    mine = [module for module in modules() if module.startswith(writer)]
    assert any(recognised((ROOT / module).read_text()) for module in mine)


@pytest.mark.parametrize(
    "source",
    [
        'def f(node): return node.op_type == "Relu"',
        'def f(node): return node.op_type in ("Relu", "Abs")',
        'def f(node): return node.op_type not in {"Relu"}',
        'KNOWN = frozenset(["Relu", "Abs"])',
        'KNOWN = {"Relu": 1}',
        'KNOWN = ["Relu", "Abs"]',
        'KNOWN = dict.fromkeys(("Relu", "Abs"), 1)',
        'KNOWN = "Relu Abs".split()',
        'def f(node): return node.op_type.startswith("Reduce")',
        'def f(node):\n    match node.op_type:\n        case "Relu": return 1',
    ],
)
def test_a_module_that_does_is_seen(source: str) -> None:
    """Planted."""
    assert recognised(source)
    assert not recognised('def f(graph, x): return graph("Relu", x)')
