"""Execution providers: who is asked, who answers, and what is said of it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

import onnxlin
from onnxlin import Linearizer, OptionError
from onnxlin.cli.providers import provider
from onnxlin.readings import between
from onnxlin.runtime import installed
from onnxlin.runtime.providers import PACKAGES, asked_providers
from onnxlin.runtime.reduced import _REDUCED
from tests.small import X, mlp

CPU, CUDA, OTHER = "CPUExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider"
LENET = "fixtures/lenet5_mnist.onnx"
DIGITS = np.random.default_rng(0).random((5, 1, 28, 28)).astype(np.float32)

Pretends = Callable[..., list[Any]]


@pytest.fixture
def pretends(monkeypatch: pytest.MonkeyPatch) -> Pretends:
    """Let onnxruntime list further providers, open on the CPU, and say what it is told to say."""
    true = onnxruntime.InferenceSession

    def begin(names: Sequence[str], there: Sequence[str] | None, took: Any = None) -> list[Any]:
        asked: list[Any] = []

        class Session(true):  # type: ignore[misc, valid-type]
            def __init__(self, data: bytes, options: Any, **more: Any) -> None:
                asked.append(more)
                super().__init__(data, options, providers=[CPU])

            def get_providers(self) -> list[str]:
                return list([*names, CPU] if there is None else there)

            def get_provider_graph_assignment_info(self) -> list[Any]:
                parts = super().get_provider_graph_assignment_info()
                nodes = [node for part in parts for node in part.get_nodes()]
                first = [node for node in nodes if took is None or node.op_type in took]
                rest = [node for node in nodes if node not in first]
                found = ((names[0], first), (CPU, rest))
                return [
                    SimpleNamespace(ep_name=name, get_nodes=lambda own=own: own)
                    for name, own in found
                    if own
                ]

        monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
        monkeypatch.setattr(installed, "providers", lambda: [*names, CPU])
        return asked

    return begin


@pytest.mark.parametrize("engine", ["explicit", "reverse", "forward", "live", "compiled", "auto"])
@pytest.mark.parametrize("given", [[CPU], [(CPU, {})], [(CPU, {"use_arena": 1})]])
def test_the_cpus_own_gives_the_same_bits(engine: str, given: Any) -> None:
    x = DIGITS[:1]
    plain, chosen = Linearizer(LENET), Linearizer(LENET, providers=given)
    a, b = plain(x, [3, 7], engine), chosen(x, [3, 7], engine)
    assert a.engine == b.engine
    for name in ("W", "b", "y", "residual", "bound"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert not a.notes
    assert b.notes[0] == f"the model's own run: {CPU} took 12 of 12 nodes"
    graph = [note for note in b.notes if note.startswith("the compiled graph")]
    assert len(graph) == (b.engine == "compiled")


def test_every_way_says_it() -> None:
    chosen = Linearizer(LENET, providers=[CPU])
    first, *_, last = chosen.map(DIGITS, [0], engine="compiled")
    assert first.notes == last.notes
    assert last.notes[1].startswith(f"the compiled graph: {CPU} took ")
    assert (
        onnxlin.linearize(mlp(), X, providers=[CPU]).notes
        == Linearizer(mlp(), providers=[CPU]).notes
    )
    assert between(chosen, DIGITS[:1], rows=[0]).notes[0].startswith("the model's own run")


def test_what_azure_leaves_is_said() -> None:
    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("another build of onnxruntime")
    m = Linearizer(mlp(), providers=["AzureExecutionProvider"])(X, engine="compiled")
    assert m.notes[0] == (
        f"the model's own run: AzureExecutionProvider took none of 3 nodes; {CPU} took 3 of 3 "
        "nodes (Gemm, MatMul, Relu)"
    )
    m.verify()


def test_who_took_which_nodes_is_read_back(pretends: Pretends) -> None:
    pretends([OTHER], [OTHER, CPU], took=("Gemm", "Relu"))
    lin = Linearizer(mlp(), providers=[OTHER])
    said = f"the model's own run: {OTHER} took 2 of 3 nodes; {CPU} took 1 of 3 nodes (MatMul)"
    assert lin(X, engine="reverse").notes == (said,)
    m = lin(X, engine="compiled")
    assert m.notes[0] == said
    assert f"{OTHER} took" in m.notes[1]
    assert lin.notes == (said,)


@pytest.mark.parametrize("net", ["lenet5_mnist", "alexnet_mnist", "cnn_bn_mnist"])
def test_other_providers_get_masks_that_are_comparisons(net: str, pretends: Pretends) -> None:
    """OpenVINO's steep HardSigmoid is 0.5 at 0, which the CPU's, of the fast form, is not."""
    pretends([OTHER], None)
    path = f"fixtures/{net}.onnx"
    for providers, steep in ((None, True), ([OTHER], False)):
        lin = Linearizer(path, providers=providers)
        feeds = lin.feeds(DIGITS[:1])
        for single in (True, False):
            graph = lin._ready.shelf.require(feeds, single=single).compiled.model.graph
            assert any(node.op_type == "HardSigmoid" for node in graph.node) == steep
        lin(DIGITS[:1], engine="compiled").verify()


def test_one_that_falls_away_is_refused(pretends: Pretends) -> None:
    asked = pretends([CUDA], [CPU])
    with pytest.raises(OptionError, match=f"{CUDA} did not start; onnxruntime would run on {CPU}"):
        Linearizer(mlp(), providers=[CUDA, CPU])
    # Nor does onnxruntime go over to another by itself, now or in a run.
    assert asked[0]["enable_fallback"] == 0


def test_tf32_is_off_unless_it_is_asked_for(pretends: Pretends) -> None:
    asked = pretends([CUDA], None)
    lin = Linearizer(mlp(), providers=[(CUDA, {"device_id": 0}), CPU])
    own = [(CUDA, {"use_tf32": "0", "device_id": "0"}), (CPU, {})]
    assert lin.providers == own == asked[0]["providers"]
    assert len(lin.notes) == 1
    for on in (1, True, "1"):
        fast = Linearizer(mlp(), providers=[(CUDA, {"use_tf32": on})])
        assert "use_tf32 is on). The bound assumes float32" in fast.notes[-1]
        assert "CUDA" in fast(X, engine="compiled").notes[-1]


@pytest.mark.parametrize(
    ("name", "options", "reduced"),
    [
        ("TensorrtExecutionProvider", {"trt_fp16_enable": "True"}, True),
        ("TensorrtExecutionProvider", {}, True),
        ("MIGraphXExecutionProvider", {"migraphx_bf16_enable": "1"}, True),
        ("MIGraphXExecutionProvider", {"migraphx_bf16_enable": "0"}, False),
        ("CoreMLExecutionProvider", {}, True),
        ("CoreMLExecutionProvider", {"MLComputeUnits": "CPUOnly"}, False),
        ("CoreMLExecutionProvider", {"ModelFormat": "MLProgram"}, False),
        (OTHER, {}, False),
        (OTHER, {"device_type": "GPU"}, True),
        (OTHER, {"device_type": "GPU", "precision": "FP32"}, False),
        (OTHER, {"precision": "FP16"}, True),
        (OTHER, {"load_config": "{}"}, True),
        ("CANNExecutionProvider", {}, True),
        ("CANNExecutionProvider", {"precision_mode": "must_keep_origin_dtype"}, False),
        ("QNNExecutionProvider", {}, True),
    ],
)
def test_less_than_float32_is_said(
    name: str, options: dict[str, str], reduced: bool, pretends: Pretends,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    pretends([name], None)
    notes = asked_providers([(name, options)]).notes
    assert bool(notes) == reduced
    assert all("bound assumes float32 and is not loosened" in note for note in notes)


def test_a_residual_past_its_bound_fails_on_any_provider(
    pretends: Pretends, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretends([OTHER], None)
    lin = Linearizer(mlp(), providers=[(OTHER, {"precision": "FP16"})])
    true = onnxruntime.InferenceSession.run

    def coarse(self: Any, wanted: Any, feeds: Any, options: Any = None) -> list[Any]:
        return [value.astype(np.float16).astype(value.dtype) for value in true(self, wanted, feeds)]

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", coarse)
    m = lin(X, engine="compiled")
    with pytest.raises(onnxlin.ResidualError):
        m.verify()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([CUDA], "without CUDAExecutionProvider. Install onnxruntime-gpu"),
        (["RknpuExecutionProvider"], "No published package has it"),
        (["CudaProvider"], f"no provider 'CudaProvider'. Did you mean {CUDA}?"),
        (["Nonsense"], "no provider 'Nonsense'. Available here: "),
        (["\x1b[2J"], r"no provider '\\x1b[2J'"),
        ([], "names none. Available here: "),
        (CPU, "expected a list of names"),
        (7, "expected a list of names"),
        ([(CPU, 3)], "is no name, and no pair"),
        ([7], "is no name, and no pair"),
        ([CPU, (CPU, {})], f"names {CPU} more than once"),
    ],
)
def test_what_cannot_be_had_is_refused(
    given: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "providers", lambda: [CPU])
    with pytest.raises(OptionError) as found:
        Linearizer(mlp(), providers=given)
    assert said in str(found.value)
    assert str(found.value).isprintable()


def test_they_travel_and_name_the_means() -> None:
    given = [(CPU, {"use_arena": 1})]
    lin, plain = Linearizer(mlp(), providers=given), Linearizer(mlp())
    other = pickle.loads(pickle.dumps(lin))
    assert other.providers == lin.providers == [(CPU, {"use_arena": "1"})]
    assert other.within("1GiB").providers == lin.providers
    assert other(X).notes == lin(X).notes
    assert other.means == lin.means
    assert lin.digest == plain.digest
    assert lin.__dask_tokenize__() != plain.__dask_tokenize__()
    assert plain.providers is None
    assert "providers" not in plain.means


def test_options_of_the_callers_may_serve_twice() -> None:
    options = onnxruntime.SessionOptions()
    lin = Linearizer(mlp(), session_options=options, providers=[CPU])
    assert len(lin(X, engine="compiled").notes) == 2
    assert len(Linearizer(mlp(), session_options=options)(X, engine="compiled").notes) == 0


def test_names_have_known_ways() -> None:
    # A name that is misspelt in a table would be silently unknown.
    known = {*onnxruntime.get_all_providers(), "NvTensorRTRTXExecutionProvider"}
    assert set(_REDUCED) | set(PACKAGES) <= known | {"ROCMExecutionProvider"}


def test_the_command_line_reads_them() -> None:
    assert provider(CPU) == (CPU, {})
    text = "OpenVINOExecutionProvider:device_type=HETERO:GPU,load_config=a=b"
    assert provider(text) == (OTHER, {"device_type": "HETERO:GPU", "load_config": "a=b"})
