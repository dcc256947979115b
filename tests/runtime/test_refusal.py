"""What helps against what onnxruntime says: the true cure, not another one."""

from __future__ import annotations

import re

import onnx
import pytest

from onnxlin.runtime import refusal
from onnxlin.runtime.installed import cpu_versions, knows
from onnxlin.runtime.refusal import cure
from onnxlin.runtime.session import said
from tests.small import model

RELU = model("g (float[2] x) => (float[2] y) { a = Celu(x)  y = Relu(a) }", opset=22)
KERNEL = "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for {} with"


def test_an_operator_set_without_kernels_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celu has changed in the set, and the runtime has only its older version."""
    versions = {"Celu": ((12, 12),), "Relu": ((6, 12), (13, 13), (14, 99))}
    monkeypatch.setattr(refusal, "cpu_versions", lambda domain, op: versions.get(op, ()))
    real = onnx.defs.get_schema

    def changed(op: str, opset: int, domain: str) -> object:
        found = real(op, opset, domain)
        late = op == "Celu" and opset >= 20
        return type("Schema", (), {"since_version": 20 if late else found.since_version})

    monkeypatch.setattr(onnx.defs, "get_schema", changed)
    text = cure(KERNEL.format("Celu(20)"), RELU)
    assert text == (
        "It has kernels of Celu for older operator sets only. Convert it, "
        "onnx.version_converter.convert_version(model, 19), or update onnxruntime."
    )


def test_an_element_type_without_kernels_is_another_matter() -> None:
    text = cure(KERNEL.format("Celu(12)"), RELU)
    assert text.startswith("It has no CPU kernel of that operator for this element type")


@pytest.mark.parametrize(
    ("said", "cured"),
    [
        ("Current official support for domain ai.onnx is till opset 23.",
         r"Its operator set is newer .*convert_version\(model, 23\)"),
        ("Unsupported model IR version: 14, max supported IR version: 11",
         r"set model\.ir_version = 11 and save it"),
        ("Fatal error: my.domain:Dice(-1) is not a registered function/op",
         r"my\.domain:Dice is none of onnxruntime's operators"),
        ("something else", r"^$"),
    ],
)  # fmt: skip
def test_each_refusal_has_its_cure(said: str, cured: str) -> None:
    assert re.search(cured, cure(said, RELU))


def test_what_is_installed_is_known() -> None:
    assert any(first <= 14 <= last for first, last in cpu_versions("", "Relu"))
    assert cpu_versions("my.domain", "Dice") == ()
    assert knows("", "Relu", 17)
    assert knows("com.microsoft", "Gelu", 1)
    assert not knows("", "Mish", 17)
    assert not knows("my.domain", "Dice", 1)


def test_a_long_name_in_a_message_takes_no_time() -> None:
    """Found by the fuzzer: names of 20,000 letters took the square of that, which was minutes."""
    long = "n" * 1_000_000
    assert cure(f"{long}(1) is not", RELU) == ""
    assert len(said(ValueError("/" * 1_000_000 + long))) == 600
