"""Options of sessions taken apart, so that they can go to another process: onnxruntime's cannot."""

from __future__ import annotations

from typing import Any

from onnxlin.runtime.session import SessionOptions, fresh_options

ENTRIES = (
    "ep.cpu.qmoe_deferred_scale",
    "memory.enable_memory_arena_shrinkage",
    "mlas.disable_kleidiai",
    "optimization.constant_folding_max_output_size_in_bytes",
    "optimization.disable_specified_optimizers",
    "optimization.enable_cast_chain_elimination",
    "optimization.enable_gelu_approximation",
    "session.disable_aot_function_inlining",
    "session.disable_cpu_ep_fallback",
    "session.disable_double_qdq_remover",
    "session.disable_prepacking",
    "session.disable_quant_qdq",
    "session.dynamic_block_base",
    "session.enable_quant_qdq_cleanup",
    "session.force_spinning_stop",
    "session.inter_op.allow_spinning",
    "session.intra_op.allow_spinning",
    "session.intra_op_thread_affinities",
    "session.qdqisint8allowed",
    "session.set_denormal_as_zero",
    "session.strict_shape_type_inference",
    "session.use_device_allocator_for_initializers",
    "session.use_env_allocators",
    "session.x64quantprecision",
)
"""Configuration entries that bear on the CPU provider: onnxruntime does not list those set."""


def apart(options: SessionOptions | None) -> dict[str, Any] | None:
    """Take options apart: their settings, and the `ENTRIES` that are set.

    Libraries of custom operators, other providers and weights that were added are left out.
    """
    if options is None:
        return None
    values = {name: getattr(options, name) for name in dir(options) if not name.startswith("_")}
    plain = {n: v for n, v in values.items() if isinstance(v, bool | int | str)}
    # Of onnxruntime's own enumerations, by name: their members do not travel everywhere.
    enums = {n: v.name for n, v in values.items() if hasattr(v, "name") and n not in plain}
    return {"plain": plain, "enums": enums, "entries": _entries(options)}


def _entries(options: SessionOptions) -> dict[str, str]:
    found = {}
    for key in ENTRIES:
        try:
            found[key] = options.get_session_config_entry(key)
        except RuntimeError:  # not set
            continue
    return found


def together(parts: dict[str, Any] | None) -> SessionOptions | None:
    """Make options of what `apart` took apart, without settings that this onnxruntime lacks."""
    if parts is None:
        return None
    options, default = fresh_options(), fresh_options()
    for name, value in parts["plain"].items():
        if getattr(default, name, value) != value:
            setattr(options, name, value)
    for name, value in parts["enums"].items():
        own = getattr(default, name, None)
        if own is not None and own.name != value:
            setattr(options, name, type(own).__members__[value])
    for key, text in parts["entries"].items():
        options.add_session_config_entry(key, text)
    return options
