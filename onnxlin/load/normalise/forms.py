"""The table of old forms: each function brings a node one form further."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache

import onnx

from onnxlin.load.normalise.draft import Context, Draft

Form = Callable[[Draft, Context], "list[Draft] | None"]

FORMS: defaultdict[str, list[tuple[int, Form]]] = defaultdict(list)
"""Operator -> (version before which it applies, function), in order of version.

Those of another domain stand there as "domain.Operator"."""


def before(op_types: str | Iterable[str], version: int) -> Callable[[Form], Form]:
    """Register a function that brings nodes of earlier schema versions to that of ``version``.

    It changes the draft in place and returns None, or returns the drafts that take its place.
    """
    names = [op_types] if isinstance(op_types, str) else list(op_types)

    def register(form: Form) -> Form:
        for name in names:
            FORMS[name].append((version, form))
            FORMS[name].sort(key=lambda entry: entry[0])
        return form

    return register


def normalise(draft: Draft, context: Context) -> list[Draft]:
    """Bring a node to the newest form of its operator.

    Parameters
    ----------
    draft : Draft
        Changed in place.
    context : Context
        Its constants grow by those that attributes turned into.

    Returns
    -------
    list of Draft
        The node, with the helper nodes that it needs, in an order in which they can run.

    Raises
    ------
    UnsupportedNodeError
        The newest form cannot express this use of an old one.
    """
    if draft.domain and f"{draft.domain}.{draft.op_type}" not in FORMS:
        return [draft]
    name = f"{draft.domain}.{draft.op_type}" if draft.domain else draft.op_type
    context.learn(draft)
    # In the first operator sets this told which inputs might be overwritten: no effect on values.
    draft.attributes.pop("consumed_inputs", None)
    step = next(((v, f) for v, f in FORMS.get(name, ()) if draft.version < v), None)
    if step is None:
        draft.version = _newest(draft.op_type, draft.version)
        return [draft]
    version, form = step
    parts = form(draft, context)
    draft.version = max(draft.version, version)
    return [new for part in parts or [draft] for new in normalise(part, context)]


@cache
def _newest(op_type: str, version: int) -> int:
    """Version of the newest schema; that of the node itself for an operator without one."""
    return onnx.defs.get_schema(op_type).since_version if onnx.defs.has(op_type) else version
