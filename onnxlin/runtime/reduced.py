"""What of a provider's arithmetic is not IEEE float32, by the options that onnxruntime has."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping


def why_reduced(name: str, options: Mapping[str, str]) -> str:
    """Say why a provider may compute with less than float32; "" where it does not."""
    return _REDUCED.get(name, _unknown)(options)


def _exact(_: Mapping[str, str]) -> str:
    return ""


def _unknown(_: Mapping[str, str]) -> str:
    return "is not known to compute in float32"


def _switched(*keys: str) -> Callable[[Mapping[str, str]], str]:
    def why(options: Mapping[str, str]) -> str:
        on = [key for key in keys if options.get(key, "").lower() in ("1", "true")]
        return f"computes with less than float32 ({', '.join(on)} is on)" if on else ""

    return why


def _tensorrt(options: Mapping[str, str]) -> str:
    found = _switched("trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable")(options)
    if found or os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":
        return found
    return "may compute with TF32, TensorRT's own default (NVIDIA_TF32_OVERRIDE=0 turns it off)"


def _openvino(options: Mapping[str, str]) -> str:
    if options.get("load_config"):
        return "may compute with less than float32: load_config decides"
    device = options.get("device_type", "CPU").upper()
    precision = options.get("precision", "FP32" if device == "CPU" else "").upper()
    if precision in ("FP32", "ACCURACY"):
        return ""
    return f"computes with less than float32 (device_type {device}, precision {precision or 'its'})"


def _coreml(options: Mapping[str, str]) -> str:
    if options.get("MLComputeUnits") == "CPUOnly":
        return ""
    whole = options.get("ModelFormat") == "MLProgram"
    if whole and options.get("AllowLowPrecisionAccumulationOnGPU", "0") == "0":
        return ""
    return "may compute with float16, by its options and on the Neural Engine"


def _cann(options: Mapping[str, str]) -> str:
    mode = options.get("precision_mode", "force_fp16")
    whole = mode in ("force_fp32", "must_keep_origin_dtype")
    return "" if whole else f"computes with less than float32 (precision_mode {mode})"


_REDUCED: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "CPUExecutionProvider": _exact,
    "AzureExecutionProvider": _exact,  # it takes nodes of its own domain alone
    "XnnpackExecutionProvider": _exact,
    "DmlExecutionProvider": _exact,
    "CUDAExecutionProvider": _switched("use_tf32"),
    "TensorrtExecutionProvider": _tensorrt,
    "MIGraphXExecutionProvider": _switched(
        "migraphx_fp16_enable",
        "migraphx_bf16_enable",
        "migraphx_int8_enable",
        "migraphx_fp8_enable",
    ),
    "OpenVINOExecutionProvider": _openvino,
    "CoreMLExecutionProvider": _coreml,
    "CANNExecutionProvider": _cann,
}
