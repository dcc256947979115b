"""Imported by a child before its limits hold: a run never ends, as some tree ensembles' did."""

import ctypes

import onnxruntime


def run(*_, **__):
    ctypes.CDLL(None).sleep(3600)


onnxruntime.InferenceSession.run = run
