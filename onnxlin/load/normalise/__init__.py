"""Bring nodes of any operator set to the newest form of their operator, before a rule sees them."""

# Importing these modules fills FORMS.
from onnxlin.load.normalise import (  # noqa: F401
    axes,
    broadcasting,
    diffusion,
    embedded,
    foreign,
    normalisation,
    packed,
    recurrent,
    relative,
    renamed,
    resize,
    softmax,
)
from onnxlin.load.normalise.draft import Context, Draft, to_proto
from onnxlin.load.normalise.forms import FORMS, before, normalise

__all__ = ["FORMS", "Context", "Draft", "before", "normalise", "to_proto"]
