"""What a start that was chosen for the caller takes, and what it leaves out, in words."""

from __future__ import annotations

from collections.abc import Sequence

from onnxlin.graph import Graph
from onnxlin.operators.masks import is_mask
from onnxlin.section.starts.floats import first_floats, nearest_floats
from onnxlin.section.starts.tokens import CACHES, KINDS, TOKENS, Starts, is_about_tokens


def held_note(graph: Graph, chosen: Sequence[str]) -> str | None:
    """Say which inputs are held at x, and which ``inputs=`` take in what they do; None if none."""
    held = [n for n in graph.inputs if n not in chosen and n not in graph.defaults]
    floats = [name for name in held if graph.inputs[name].is_float]
    others = [name for name in held if name not in floats]
    text = []
    if floats:
        text.append(f'held at x: caches ({_few(floats)}). inputs="caches" takes them in')
    if others:
        text.append(
            f"not in W, as they are no floats: {_listed(graph, others)}; what they bring in is "
            "part of b"
        )
        behind = nearest_floats(graph, others, chosen)
        if behind:
            text[-1] += f". inputs={[*chosen, *behind]} takes it in"
    return "; ".join(text) or None


def tokens_note(graph: Graph, found: Starts, chosen: Sequence[str]) -> str:
    """Say why a map starts behind the inputs, what was taken there, and what is held."""
    masks = [n for n, kind in graph.inputs.items() if kind.is_float and n not in found.of(CACHES)]
    text = f"the map starts at {', '.join(chosen)}"
    if not any(kind.is_float for kind in graph.inputs.values()):
        kinds = ", ".join(f"{name!r} ({kind})" for name, kind in graph.inputs.items()) or "none"
        text = f"the model's inputs are no floats ({kinds}); {text}"
    else:
        text += ", where the integers are looked up"
    if masks:
        text += (
            f"; held at x: {_listed(graph, masks)}, which only says what counts. "
            f"inputs={masks} explains that instead"
        )
    held = {kind: found.of(kind) for kind in KINDS if not set(found.of(kind)) <= set(chosen)}
    if held:
        listed = ", ".join(f"{kind} ({_few(names)})" for kind, names in held.items())
        text += f'; held at x: {listed}. inputs="{"+".join((TOKENS, *held))}" takes them in'
    if found.folded:
        text += f"; rows of the constant {_few(found.folded)} are added to them, and part of b"
    others = [n for n, kind in graph.inputs.items() if not kind.is_float and n not in found.ids]
    others = [n for n in others if found.ids and not (is_about_tokens(n) or is_mask(graph, n))]
    behind = [n for n in first_floats(graph, others, chosen) if n not in found.of(*KINDS)]
    if behind:
        text += f"; not in W: {_listed(graph, others)}. inputs={[*chosen, *behind]} takes it in"
    if found.added:
        text += (
            f"; what {', '.join(map(repr, found.ids))} look up is added: if one of them holds "
            "positions or types, name the others as inputs="
        )
    return text


def passed_note(passed: Sequence[str], taken: Sequence[str]) -> str:
    """Say which outputs a map does not end at, as they are caches for the next step."""
    verb = "is a cache" if len(passed) == 1 else "are caches"
    return (
        f"the map ends at {', '.join(taken)}; {_few(passed)} {verb} for the next step and passed "
        f"over. outputs={[*taken, passed[0]]} takes {'it' if len(passed) == 1 else 'one'} in"
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} more"


def _listed(graph: Graph, names: Sequence[str]) -> str:
    return ", ".join(f"{name!r} ({graph.inputs[name]})" for name in names)
