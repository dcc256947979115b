"""Attributions that the program itself gives."""

from onnxlin.readings.attributions.gradients import (
    Attribution,
    gradient,
    gradient_times_input,
    smooth_grad,
)

__all__ = ["Attribution", "gradient", "gradient_times_input", "smooth_grad"]
