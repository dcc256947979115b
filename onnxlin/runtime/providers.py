"""Execution providers of onnxruntime: which are asked for, and what each of them really ran.

onnxruntime leaves out a provider that it does not have, or that does not start, and gives nodes
that a provider does not take to the CPU. Here the first is refused, and the second is said.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxlin.errors import OptionError
from onnxlin.runtime import installed
from onnxlin.runtime.reduced import why_reduced
from onnxlin.texts import shown

CPU = "CPUExecutionProvider"
RECORD = "session.record_ep_graph_assignment_info"
"""Configuration entry: have a session keep which provider took which nodes."""

Asked = str | tuple[str, Mapping[str, Any]]
"""A provider as onnxruntime takes it: its name, or that and its options."""

PACKAGES = {
    "CUDAExecutionProvider": "onnxruntime-gpu",
    "TensorrtExecutionProvider": "onnxruntime-gpu",
    "NvTensorRTRTXExecutionProvider": "onnxruntime-trt-rtx",
    "MIGraphXExecutionProvider": "onnxruntime-migraphx",
    "ROCMExecutionProvider": "onnxruntime-rocm",
    "OpenVINOExecutionProvider": "onnxruntime-openvino",
    "DmlExecutionProvider": "onnxruntime-directml",
    "QNNExecutionProvider": "onnxruntime-qnn",
    "CANNExecutionProvider": "onnxruntime-cann",
    "VitisAIExecutionProvider": "onnxruntime-vitisai",
    "CoreMLExecutionProvider": "onnxruntime (its wheels for macOS)",
    "AzureExecutionProvider": "onnxruntime",
}
"""Packages whose onnxruntime has a provider; of the others none is published."""

DEFAULTS: Mapping[str, Mapping[str, str]] = {"CUDAExecutionProvider": {"use_tf32": "0"}}
"""Options that are set unless the caller says otherwise: onnxruntime takes TF32 by default."""

ENDING = "ExecutionProvider"

MOST_NAMED = 6
"""Operators that are named of a provider that was not asked for."""


@dataclass(frozen=True)
class Providers:
    """Providers in the order in which they are offered nodes.

    Parameters
    ----------
    pairs : tuple of (name, options)
        Empty where nobody asked for any: the CPU's then. Options are pairs of texts.
    """

    pairs: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    @property
    def on_cpu(self) -> bool:
        """Whether the CPU's own provider runs everything."""
        return all(name == CPU for name, _ in self.pairs)

    @property
    def given(self) -> list[tuple[str, dict[str, str]]]:
        """What a session is opened with."""
        return [(name, dict(options)) for name, options in self.pairs] or [(CPU, {})]

    def asks(self, options: Any) -> dict[str, Any]:
        """What a session is opened with; it is to keep which provider takes which nodes.

        Parameters
        ----------
        options : onnxruntime.SessionOptions
            Of the session: an entry is added that changes nothing but what is kept.
        """
        if not self.pairs:
            return {"providers": [CPU]}
        if not _is_set(options, RECORD):  # onnxruntime warns of what is said twice
            options.add_session_config_entry(RECORD, "1")
        # Else a provider that fails is left out, then and in each run, and printed of.
        return {"providers": self.given, "enable_fallback": 0}

    def require(self, session: Any) -> None:
        """See to it that an open session has what was asked for.

        Raises
        ------
        OptionError
            A provider did not start.
        """
        if not self.pairs:
            return
        there = session.get_providers()
        gone = [name for name, _ in self.pairs if name not in there]
        if gone:
            raise OptionError(
                f"providers=: {', '.join(gone)} did not start; onnxruntime would run on "
                f"{', '.join(there)} instead. Is its driver or library there, and are its options "
                "right? Leave it out to run without it."
            )

    def ran(self, session: Any) -> Ran | None:
        """Read back which provider took which nodes of an open session; None without a choice."""
        if not self.pairs:
            return None
        names = tuple(name for name, _ in self.pairs)
        return Ran(names, tuple(session.get_providers()), _assigned(session))

    @property
    def notes(self) -> tuple[str, ...]:
        """What of their arithmetic is not float32, in words."""
        found = []
        for name, pairs in self.pairs:
            why = why_reduced(name, dict(pairs))
            if why:
                found.append(
                    f"{name} {why}. The bound assumes float32 and is not loosened for that: the "
                    "residual may be past it"
                )
        return tuple(found)


DEFAULT = Providers()


def asked_providers(given: Sequence[Asked] | None) -> Providers:
    """Check providers as onnxruntime takes them: names, or (name, options).

    Raises
    ------
    OptionError
        One is unknown, or the installed onnxruntime does not have it.
    """
    if given is None:
        return DEFAULT
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise OptionError(f"providers={given!r}: expected a list of names or (name, options).")
    pairs = [_pair(each) for each in given]
    if not pairs:
        raise OptionError(f"providers= names none. {_available()}")
    names = [name for name, _ in pairs]
    for name in names:
        _require_available(name)
        if names.count(name) > 1:
            raise OptionError(f"providers= names {name} more than once.")
    return Providers(
        tuple((name, tuple({**DEFAULTS.get(name, {}), **own}.items())) for name, own in pairs)
    )


def _pair(each: Any) -> tuple[str, dict[str, str]]:
    name, own = each if isinstance(each, tuple | list) and len(each) == 2 else (each, {})
    if not isinstance(name, str) or not isinstance(own, Mapping):
        raise OptionError(
            f"providers=: {shown(repr(each))} is no name, and no pair of a name and a mapping of "
            "options."
        )
    return name, {str(key): str(value) for key, value in own.items()}


def require_known(name: str, option: str = "provider") -> None:
    """See to it that some build of onnxruntime has a provider of this name, if not the one here.

    Raises
    ------
    OptionError
    """
    if not isinstance(name, str):
        raise OptionError(f"{option}={shown(repr(name))}: expected the name of one provider.")
    known = {*installed.providers(), *installed.known_providers(), *PACKAGES}
    if name in known:
        return
    by_short = {full.removesuffix(ENDING).lower(): full for full in sorted(known)}
    short = name.lower().removesuffix("provider").removesuffix("execution")
    close = difflib.get_close_matches(short, by_short, 1)
    meant = f" Did you mean {by_short[close[0]]}?" if close else ""
    raise OptionError(
        f"{option}=: onnxruntime has no provider {shown(name)!r}.{meant} {_available()}"
    )


def _require_available(name: str) -> None:
    if name in installed.providers():
        return
    require_known(name, "providers")
    package = PACKAGES.get(name)
    cure = (
        f"Install {package} in the place of the onnxruntime that is there"
        if package
        else "No published package has it: it takes an onnxruntime that is built with it"
    )
    raise OptionError(f"providers=: this onnxruntime is without {name}. {cure}. {_available()}")


def _available() -> str:
    return f"Available here: {', '.join(installed.providers())}."


@dataclass(frozen=True)
class Ran:
    """What a session is made of.

    Parameters
    ----------
    asked, there : tuple of str
        Providers asked for, and those that the session has.
    nodes : {provider: {operator: count}} or None
        What each took; None where this onnxruntime does not say.
    """

    asked: tuple[str, ...]
    there: tuple[str, ...]
    nodes: Mapping[str, Mapping[str, int]] | None

    def said(self, what: str) -> str:
        """Say of the model, or of a graph, where its nodes run."""
        if self.nodes is None:
            return (
                f"{what} runs on {', '.join(self.there)}, in this order; this onnxruntime does not "
                "say which nodes each took"
            )
        total = sum(sum(kinds.values()) for kinds in self.nodes.values())
        parts = []
        for name in dict.fromkeys((*self.asked, *self.nodes)):
            kinds = self.nodes.get(name, {})
            named = sorted(kinds)[:MOST_NAMED]
            more = ", ..." if len(kinds) > MOST_NAMED else ""
            # Of what fell to another than the first provider, which operators those are.
            which = f" ({', '.join(named)}{more})" if named and name != self.asked[0] else ""
            parts.append(f"{name} took {sum(kinds.values()) or 'none'} of {total} nodes{which}")
        return f"{what}: {'; '.join(parts)}"


def _assigned(session: Any) -> Mapping[str, Mapping[str, int]] | None:
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    if ask is None:
        return None
    found: dict[str, Counter[str]] = {}
    for part in ask():
        kinds = (node.op_type for node in part.get_nodes())
        found.setdefault(part.ep_name, Counter()).update(kinds)
    return {name: dict(kinds) for name, kinds in found.items()}


def _is_set(options: Any, key: str) -> bool:
    try:
        options.get_session_config_entry(key)
    except RuntimeError:
        return False
    return True
