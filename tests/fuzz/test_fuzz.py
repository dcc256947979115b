"""The fuzzer finds what is planted, the same each time; what it once found stays mended."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter

import onnx
import pytest

from onnxlin import Sandbox
from tests.fuzz import broken as making
from tests.fuzz import cases, fields, flips, samples, subjects
from tests.fuzz.broken import Broken
from tests.fuzz.campaign import SANDBOX, Campaign, Statistics
from tests.fuzz.pool import Worker, again
from tests.fuzz.shrink import shrink
from tests.fuzz.verdicts import CRASH, FAULTS, FOREIGN, HANG, MEMORY, NATIVE, WRONG

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")

INPUTS, SEED = 150, 7

TEXT = """<ir_version: 8, opset_import: ["": 17], producer_name: "NAME">
g (float[2] x) => (float[2] y) { a = Sin(x) b = Relu(a) c = Cos(b) y = Add(b, c) }"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Fixtures, random graphs and files; the specification's cases take too long to make."""
    place = tmp_path_factory.mktemp("fuzz")
    campaign = Campaign(place, SEED, all_cases=False)
    assert len(subjects.names(campaign.subjects)) > 60
    return place


def is_new(key):
    """Whether a fault is one of onnxlin's."""
    return not key.startswith(NATIVE)


def planted(name):
    model = onnx.parser.parse_model(TEXT.replace("NAME", name))
    return Broken("model", model.SerializeToString())


def test_a_short_run_finds_nothing(folder):
    done = Campaign(folder, SEED, all_cases=False).run(inputs=INPUTS, seconds=600, shrinking=False)
    assert done.inputs == INPUTS
    again_by = f"python -m tests.fuzz --few --seed {SEED} --inputs {INPUTS}"
    assert not [key for key in done.faults if is_new(key)], again_by
    # A run in which everything is refused at the door has tried nothing.
    assert done.counts["right"] > INPUTS / 10
    assert sum(n for name, n in done.counts.items() if name.startswith("refused")) > INPUTS / 10


def test_a_run_goes_on_where_the_last_one_stopped(folder, tmp_path):
    (tmp_path / "subjects").symlink_to(folder / "subjects")
    first = Campaign(tmp_path, 3)
    first.run(inputs=2, seconds=600, shrinking=False)
    second = Campaign(tmp_path, 3)
    assert second.done == first.done
    done = second.run(inputs=3, seconds=600, shrinking=False)
    assert (done.next, done.inputs) == (5, 5)
    assert "5 inputs" in str(done)
    assert Statistics.load(second.path, 3) == done
    assert Statistics.load(second.path, 4) == Statistics(4)


def digest(folder, seed):
    made = [making.make(folder / "subjects", seed, i) for i in range(60)]
    return [(one.kind, hash_of(one.data), one.draw, sorted(one.x)) for one in made]


def hash_of(data):
    from hashlib import sha256

    return sha256(data).hexdigest()[:16]


def test_an_index_makes_the_same_input_each_time(folder):
    script = (
        "from pathlib import Path\nfrom tests.fuzz.test_fuzz import digest\n"
        f"print(digest(Path({str(folder)!r}), 5))"
    )
    surroundings = {**os.environ, "PYTHONHASHSEED": "99", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True, text=True, check=True, env=surroundings,
    )  # fmt: skip
    found = digest(folder, 5)
    assert done.stdout.strip() == str(found)
    assert len({data for _, data, _, _ in found}) > 50
    assert {kind for kind, *_ in found} == {"model", "map", "file"}
    assert digest(folder, 6) != found


def test_every_kind_of_message_is_broken(folder):
    """Of a model with all of them, each type of message and each action is met."""
    proto = onnx.ModelProto()
    for name in subjects.names(folder / "subjects"):
        proto.MergeFrom(subjects.subject(folder / "subjects", name).proto)
    rng, seen = random.Random(0), Counter()
    for _ in range(3000):
        copy = onnx.ModelProto.FromString(proto.SerializePartialToString())
        small = onnx.ModelProto(graph=onnx.GraphProto(name="g"))
        chosen = rng.choice(range(len(copy.graph.node)))
        small.graph.node.append(copy.graph.node[chosen])
        small.graph.initializer.extend(copy.graph.initializer[:3])
        small.graph.input.extend(copy.graph.input[:2])
        small.opset_import.extend(copy.opset_import[:1])
        small.functions.extend(copy.functions[:1])
        how = fields.mutate(small, copy, rng)
        seen[how.split(":")[0].split()[-1].split(".")[1]] += 1
    for message in ("ModelProto", "GraphProto", "NodeProto", "AttributeProto", "TensorProto",
                    "ValueInfoProto", "FunctionProto", "TensorShapeProto"):  # fmt: skip
        assert seen[message] > 5, seen


def test_bytes_are_broken_in_every_way():
    rng, data = random.Random(0), bytes(range(200))
    found = {flips.flip(data, b"other" * 50, rng) for _ in range(300)}
    assert len(found) > 250
    assert {len(one) < 200 for one in found} == {len(one) > 200 for one in found} == {True, False}
    assert any(b"other" in one for one in found)
    assert flips.flip(b"", b"", rng) is not None


def test_planted_faults_have_their_verdicts(folder, monkeypatch):
    monkeypatch.setattr(Worker, "modules", (*Worker.modules, "tests.fuzz.planted"))
    found = {}
    with Worker(folder / "subjects", Sandbox(memory="512MiB", time=3)) as worker:
        for name in ("right", "refused", "foreign", "wrong", "crash", "right", "hang", "memory"):
            one = worker.attempt(broken=planted(name).as_json(), entries=["check"])["verdicts"]
            found[name] = (one[0]["verdict"], one[0]["key"])
        work = worker.work
    assert found["right"] == ("right", "")
    assert found["refused"] == ("refused", "InputError")
    assert found["foreign"] == (FOREIGN, "AttributeError at onnxlin/graph/tensors.py:tensor_type")
    assert found["wrong"] == (WRONG, "wrong WrongError ")
    assert found["crash"][0] == CRASH
    assert "SIGSEGV" in found["crash"][1]
    assert found["hang"][0] == HANG
    assert found["memory"][0] == MEMORY
    assert not work.exists()


def test_a_fault_is_made_small_and_kept(folder, tmp_path, monkeypatch):
    """A model of which only the producer's name matters ends with little else."""
    monkeypatch.setattr(Worker, "modules", (*Worker.modules, "tests.fuzz.planted"))
    whole = planted("foreign")
    with Worker(folder / "subjects", SANDBOX) as worker:
        (key,) = again(worker, whole, ["check"])
        small = shrink(whole, lambda one: key in again(worker, one, ["check"]), seconds=60)
        path = cases.write(tmp_path, small, ["check"], key, note=f"planted in {cases.ROOT}/a.py")
        assert json.loads(path.read_text())["found"] == {"note": "planted in a.py"}
        found, entries, same = cases.read(path)
        assert again(worker, found, entries) == {key} == {same}
    proto = onnx.ModelProto.FromString(small.data)
    assert proto == onnx.ModelProto(producer_name="foreign")


def test_shrinking_keeps_what_matters():
    def has_relu(one):
        nodes = onnx.ModelProto.FromString(one.data).graph.node
        return any(node.op_type == "Relu" and "a" in node.input for node in nodes)

    small = onnx.ModelProto.FromString(shrink(planted("x"), has_relu).data)
    assert [(node.op_type, list(node.input)) for node in small.graph.node] == [("Relu", ["a"])]
    assert not small.producer_name
    needle = Broken("file", b"a" * 500 + b"needle" + b"b" * 300)
    assert shrink(needle, lambda one: b"needle" in one.data).data == b"needle"


def test_what_was_found_stays_mended(folder):
    paths = sorted(cases.FOLDER.glob("*.json"))
    assert paths
    failed = {}
    with Worker(folder / "subjects", SANDBOX) as worker:
        for path in paths:
            broken, entries, _ = cases.read(path)
            faults = {key for key in again(worker, broken, entries) if not key.startswith(NATIVE)}
            failed |= {path.name: faults} if faults else {}
    assert not failed


def test_files_are_sound_before_they_are_broken(folder):
    with Worker(folder / "subjects", SANDBOX) as worker:
        for maps, kind, entry in ((True, "map", "load"), (False, "file", "read")):
            for path in samples.named(folder / "subjects", maps=maps):
                sound = Broken(kind, path.read_bytes(), ending=path.suffix)
                verdict = worker.attempt(broken=sound.as_json(), entries=[entry])["verdicts"][0]
                assert verdict["verdict"] not in FAULTS, path
