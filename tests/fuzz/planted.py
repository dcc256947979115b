"""Imported by a worker: `check_model` has a fault for each name of a model's producer."""

from __future__ import annotations

import ctypes
import time

import numpy as np
import onnx

import onnxlin
from onnxlin import InputError
from onnxlin.graph.tensors import tensor_type
from tests.fuzz.verdicts import WrongError


def check_model(data, **_):
    return FAULTS[onnx.ModelProto.FromString(data).producer_name]()


def foreign():
    tensor_type(None)


def refused():
    raise InputError("no")


def wrong():
    raise WrongError("W is not W")


def hang():
    time.sleep(3600)


def crash():
    ctypes.string_at(0)


def memory():
    return [np.ones(2**21) for _ in range(10**6)]


class Report:
    def as_dict(self):
        return {}


FAULTS = {f.__name__: f for f in (foreign, refused, wrong, hang, crash, memory)}
FAULTS["right"] = Report
onnxlin.check_model = check_model
