"""The two ends of what is linearised: the tensors named, or those chosen for the caller."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from onnxlin.errors import InputError, TensorNameError
from onnxlin.graph import Graph
from onnxlin.operators.families import scores_of
from onnxlin.operators.masks import is_mask
from onnxlin.operators.squashing import squashed
from onnxlin.section.starts import (
    CACHES,
    KINDS,
    Starts,
    caches,
    find_starts,
    first_floats,
    held_note,
    last_floats,
    nearest_floats,
    passed_note,
    presents,
    tokens_note,
)

Names = Iterable[str] | str | None

LOGITS = "logits"


@dataclass(frozen=True)
class End:
    """Chosen tensors, and what to tell the caller about the choice.

    Parameters
    ----------
    names : tuple of str
    note : str or None
    """

    names: tuple[str, ...]
    note: str | None = None


def first_end(graph: Graph, inputs: Names, integers: frozenset[str]) -> End:
    """Choose where the map starts.

    Parameters
    ----------
    inputs : tensor names, or None
        None takes the graph's float inputs, without caches. Where it has none, or masks alone, it
        takes what token ids, or categories, look up in constant tables; where nothing is looked
        up, the first float tensors that follow the inputs. "tokens", "positions", "types" and
        "caches", or several of them with "+", where no tensor has that name, take what
        `onnxlin.section.tokens` finds.
    integers : frozenset of str
        Tensors that may be named although they are not float.

    Raises
    ------
    TensorNameError, InputError
    """
    if inputs is not None:
        names, note = _worded(graph, listed(inputs) or [])
        chosen = _named(graph, names, "inputs", integers)
        constants = [name for name in chosen if name in graph.initialisers]
        if constants:
            raise TensorNameError(
                f"inputs={constants!r} are initialisers: constants of the model, not functions "
                "of x. Only those that are among its inputs, too, can be given."
            )
        return End(chosen, note)
    floats = tuple(name for name, kind in graph.inputs.items() if kind.is_float)
    if len(floats) == len(graph.inputs) and floats and not caches(graph):
        return End(_needed(graph, floats))
    found = find_starts(graph)
    starts = found.best
    data = tuple(name for name in floats if name not in found.of(CACHES))
    if starts and all(is_mask(graph, name) for name in data):
        return End(starts, tokens_note(graph, found, starts))
    if floats:
        chosen = _needed(graph, data or floats)
        return End(chosen, held_note(graph, chosen))
    starts = first_floats(graph, graph.inputs)
    if not starts:
        kinds = ", ".join(f"{name!r} ({kind})" for name, kind in graph.inputs.items())
        raise InputError(
            f"The model has no float input to linearise (its inputs: {kinds or 'none at all'}), "
            "and no float tensor follows them. Only a float tensor has a linear map."
        )
    return End(starts, tokens_note(graph, found, starts))


def _needed(graph: Graph, floats: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what the file has a value for: a parameter, unless there is nothing else."""
    return tuple(name for name in floats if name not in graph.defaults) or floats


def _worded(graph: Graph, names: Iterable[str]) -> tuple[list[str], str | None]:
    """Put tensors in the place of words for what is looked up, and say which."""
    chosen, notes, found = list[str](), list[str](), None
    for name in names:
        kinds = str(name).split("+")
        if name in graph.tensors or not set(kinds) <= set(KINDS):
            chosen.append(name)
            continue
        found = found or find_starts(graph)
        own = [tensor for kind in kinds for tensor in _of_kind(found, kind)]
        notes.append(f'inputs="{name}" takes {", ".join(own)}')
        chosen += own
    return chosen, "; ".join(notes) or None


def _of_kind(found: Starts, kind: str) -> tuple[str, ...]:
    """Return the tensors that a word stands for.

    Raises
    ------
    TensorNameError
        There are none.
    """
    names = found.of(kind)
    if not names:
        known = "; ".join(f"{k}: {', '.join(found.of(k))}" for k in KINDS if found.of(k))
        folded = (
            f" Rows of {', '.join(found.folded)}, a constant of the file, are added to them: an "
            "export with dynamic axes may keep their look-up."
        )
        raise TensorNameError(
            f'inputs="{kind}": the model looks nothing up that counts as {kind}. It has '
            f"{known or 'no look-ups in constant tables at all'}."
            + (folded if found.folded and kind != CACHES else "")
        )
    return names


def last_end(graph: Graph, outputs: Names, integers: frozenset[str]) -> End:
    """Choose where the map ends.

    Parameters
    ----------
    outputs : tensor names, "logits" or None
        None takes the graph's float outputs, without caches for the next step unless there is
        nothing else. "logits", where no tensor has that name, takes what goes into a softmax or
        sigmoid at the end.
    integers : frozenset of str
        Tensors that may be named although they are not float.

    Raises
    ------
    TensorNameError
    """
    asked = [outputs] if isinstance(outputs, str) else outputs
    asked = None if asked is None else list(asked)
    if asked is not None and (asked != [LOGITS] or LOGITS in graph.tensors):
        return End(_named(graph, asked, "outputs", integers))
    ends = (_before_maps(graph, n) for n in graph.outputs)
    floats = tuple(n for n in ends if graph.may_be_float(n) or n in integers)
    if not floats:
        inside = last_floats(graph, graph.outputs)
        way = f": outputs={list(inside)} are the last ones" if inside else " with outputs=[...]"
        raise TensorNameError(
            f"None of the model's outputs {list(graph.outputs)} is a float tensor. Choose a float "
            f"tensor inside{way}."
        )
    passed = presents(graph, floats) if len(floats) > 1 else ()
    taken = tuple(name for name in floats if name not in passed) or floats
    end = End(taken) if asked is None else _before_squashing(graph, taken)
    if taken == floats:
        return end
    said = passed_note(passed, taken)
    return End(end.names, f"{end.note}; {said}" if end.note else said)


def _before_maps(graph: Graph, name: str) -> str:
    """Return the table of scores that a classifier's output, a list of maps, is made of."""
    node = graph.producer.get(name)
    scores = scores_of(node) if node is not None else None
    return name if scores is None else scores


def _before_squashing(graph: Graph, outputs: tuple[str, ...]) -> End:
    """Step back over what turns logits into probabilities."""
    pairs = {name: squashed(graph.producer, name) for name in outputs}
    stripped = [", ".join(found.words) for found in pairs.values() if found]
    names = tuple(found.logits if found else name for name, found in pairs.items())
    what = f"left out {', '.join(stripped)}" if stripped else "found no softmax or sigmoid to leave"
    return End(tuple(dict.fromkeys(names)), f'outputs="logits" {what}: {", ".join(names)}')


def listed(names: Iterable[str] | str | None) -> list[str] | None:
    """Read names of tensors: one, several, or None for those chosen unasked."""
    return [names] if isinstance(names, str) else None if names is None else list(names)


def _named(
    graph: Graph, names: Iterable[str] | str, what: str, integers: frozenset[str]
) -> tuple[str, ...]:
    """Check names of tensors."""
    chosen = list(dict.fromkeys(listed(names) or ()))
    if not chosen:
        raise TensorNameError(f"{what}=[] names no tensor; leave it out to take the model's own.")
    unknown = [name for name in chosen if name not in graph.tensors]
    if unknown:
        raise TensorNameError(
            f"{what}={unknown!r}: no such tensor in the graph. "
            f"Did you mean {_similar(graph, unknown[0])}?"
        )
    wrong = [name for name in chosen if not graph.may_be_float(name) and name not in integers]
    if wrong:
        first = what == "inputs"
        near = nearest_floats(graph, wrong) if first else last_floats(graph, wrong)
        way = f" {what}={list(near)} {'follow' if first else 'lead to'} it." if near else ""
        raise TensorNameError(
            f"{what}={wrong!r}: not a float tensor, so it has no linear map.{way} Where it holds "
            'quantised numbers, rounding="straight-through" gives it one.'
        )
    return tuple(chosen)


def _similar(graph: Graph, name: str) -> str:
    close = difflib.get_close_matches(str(name), sorted(graph.tensors), n=4, cutoff=0.4)
    return ", ".join(repr(c) for c in close or [*graph.inputs, *graph.outputs][:4])
