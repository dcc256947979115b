"""What the outputs of a section are: logits of one group, probabilities, or nobody can say."""

from __future__ import annotations

from onnxlin.operators.squashing import squashed
from onnxlin.section.section import Section


def groups(section: Section) -> bool | None:
    """Whether a softmax takes the outputs: they are logits of one group, of which one is true.

    False where a sigmoid takes them, or makes them: each stands for itself. None where the model
    has neither.
    """
    (name, *more) = section.outputs
    if more:
        return False
    makers = section.graph.producer
    own = squashed(makers, name)
    if own is not None:
        return own.one_group
    for output in section.graph.outputs:
        found = squashed(makers, output)
        if found is not None and found.logits == name:
            return found.one_group
    return None


def logits_note(section: Section) -> str | None:
    """Say that the outputs are probabilities, and how to end before; None if they are not."""
    found = {name: squashed(section.graph.producer, name) for name in section.outputs}
    words = [f"{name} is made by {each.words[-1]}" for name, each in found.items() if each]
    if not words:
        return None
    return f"{'; '.join(words)}: --outputs logits ends before it"
