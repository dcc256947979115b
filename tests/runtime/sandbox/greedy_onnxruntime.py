"""Imported by a child before its limits hold: a run takes memory without end."""

import numpy as np
import onnxruntime


def run(*_, **__):
    return [np.ones(2**21) for _ in range(10**6)]


onnxruntime.InferenceSession.run = run
