"""A fitted scikit-learn estimator -> ONNX, by skl2onnx."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import numpy as np

from onnxlin.graph import Array
from onnxlin.graph.frames import is_frame, names_of
from onnxlin.load.exported.frameworks import SKLEARN, Made, package, without_example

NAME = "X"


def export(estimator: Any, x: Any, options: dict[str, Any]) -> Made:
    """Export an estimator: one float32 input, or one for each column of a frame that holds text."""
    skl2onnx = package("skl2onnx", estimator, SKLEARN)
    base = import_module("sklearn.base")
    import_module("sklearn.utils.validation").check_is_fitted(estimator)
    classifies = bool(base.is_classifier(estimator))
    how: dict[str, Any] = {}
    if classifies:
        how["options"] = {id(estimator): {"zipmap": False}}  # a table of scores, no list of maps
    count = getattr(estimator, "n_features_in_", None)
    own, fed, metadata = None, None, dict[str, str]()
    if (x is not None and _has_text(x)) or (count is None and x is not None):
        how["X"] = x[:1]
    elif count is None:
        raise without_example(estimator, SKLEARN)
    else:
        types = import_module("skl2onnx.common.data_types")
        how["initial_types"] = [(NAME, types.FloatTensorType([None, count]))]
        if x is not None:
            fed = [np.atleast_2d(np.asarray(x, np.float32))]
            own = _own(estimator, x, fed[0], classifies=classifies)
        metadata |= _listed("features", getattr(estimator, "feature_names_in_", ()))
    if classifies:
        metadata |= _listed("classes", getattr(estimator, "classes_", ()))
    made = skl2onnx.to_onnx(estimator, **how | options)
    said = () if fed is None and "X" in how else ("its input is float32",)
    return Made(made, f"skl2onnx {skl2onnx.__version__}", said, own, fed, metadata)


def _has_text(x: Any) -> bool:
    """Whether a frame has columns that are no numbers: each then is an input of its own."""
    return is_frame(x) and any(np.asarray(x[name]).dtype.kind not in "fiub" for name in names_of(x))


def _own(estimator: Any, x: Any, numbers: Array, *, classifies: bool) -> list[Array | None] | None:
    """What the estimator itself says; its labels may be text, and are left out."""
    given = x if is_frame(x) else numbers
    if not classifies:
        predict = getattr(estimator, "predict", None)
        return None if predict is None else [np.asarray(predict(given))]
    scores = getattr(estimator, "predict_proba", None)
    return None if scores is None else [None, np.asarray(scores(given))]


def _listed(key: str, names: Any) -> dict[str, str]:
    """An entry of the metadata that is a list of names, where there are any."""
    found = [str(name) for name in np.asarray(names).ravel()]
    return {key: json.dumps(found)} if found else {}
