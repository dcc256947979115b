"""Models as pytest collects them: ``model.onnx::tangent::inside``, one item a law and mode."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from onnxlin.errors import OnnxlinError
from onnxlin.inputs import Preprocessing, read_input
from onnxlin.section import MODES
from onnxlin.testing.draw.draw import Drawn, instances
from onnxlin.testing.laws.laws import LAWS, Law, LawError
from onnxlin.testing.laws.subject import Subject
from onnxlin.testing.run.examine import FAILED, Finding, fails_alike, hold
from onnxlin.testing.run.reproduce import reproducer
from onnxlin.testing.run.shrink import Shrunk, shrink
from onnxlin.texts import shown_lines

CALLS, SECONDS = 300, 30.0


class Told(Exception):  # noqa: N818  # a failure whose message is all there is to show
    """A failure, in words."""

    def __str__(self) -> str:
        return shown_lines(super().__str__())


class ModelFile(pytest.File):
    """A model; its items share what is loaded once, and the inputs."""

    _told = ""

    def collect(self) -> Iterator[pytest.Collector]:
        """Collect a node for each mode."""
        for mode in MODES:
            yield Mode.from_parent(self, name=mode)

    @property
    def asked(self) -> dict[str, Any]:
        """How the model is linearised, as `onnxlin.testing.assert_linearizes` takes it."""
        option = self.config.getoption
        names = {what: option(f"--onnxlin-{what}") for what in ("inputs", "outputs")}
        given = {what: text.split(",") for what, text in names.items() if text}
        if given.get("outputs") == ["logits"]:
            given["outputs"] = "logits"
        rounding = option("--onnxlin-rounding")
        return given | ({} if rounding == "staircase" else {"rounding": rounding})

    @cached_property
    def subject(self) -> Subject:
        """The model, ready to be linearised."""
        subject = Subject(str(self.path), **self.asked)
        subject.linearizer()
        return subject

    def ready(self, nodeid: str) -> list[Drawn]:
        """Return the inputs; what is in the way is one failure, that of the first that asks."""
        if self._told:
            pytest.skip(f"there is no map of this model, for the reasons that {self._told} gives")
        try:
            return self.points
        except OnnxlinError as error:
            self._told = nodeid
            raise Told(str(error)) from error

    @cached_property
    def points(self) -> list[Drawn]:
        """The inputs given, else drawn ones."""
        option = self.config.getoption
        if given := option("--onnxlin-input"):
            return [self._given(name) for name in given]
        count = option("--onnxlin-examples")
        return list(instances(self.subject, count, option("--onnxlin-seed")))

    def _given(self, name: str) -> Drawn:
        graph = self.subject.linearizer().graph
        told = {entry.key: entry.value for entry in graph.model.metadata_props}
        picture = not name.lower().endswith((".npy", ".npz", ".csv", ".tsv"))
        path = str(self.config.invocation_params.dir / name)
        found = read_input(path, graph.inputs, Preprocessing.of(told) if picture else None)
        return Drawn(name, "given", self.subject.feeds(found.feeds))


class Mode(pytest.Collector):
    """A reading of smooth operators."""

    def collect(self) -> Iterator[pytest.Item]:
        """Collect an item for each law."""
        for law in LAWS:
            yield LawItem.from_parent(self, name=law.name, law=law)


class LawItem(pytest.Item):
    """A law, held against a model in one mode at every input."""

    def __init__(self, *, law: Law, **more: Any) -> None:
        super().__init__(**more)
        self.law = law

    @property
    def file(self) -> ModelFile:
        """The model."""
        found = self.getparent(ModelFile)
        assert found is not None
        return found

    @property
    def mode(self) -> str:
        """The reading of smooth operators."""
        assert self.parent is not None
        return self.parent.name

    def reportinfo(self) -> tuple[Path, None, str]:
        """Say what is tested, for reports; without the file's name, whose dot they would change."""
        return self.path, None, f"{self.mode}::{self.law.name}"

    def runtest(self) -> None:
        """Hold the law; skip where it has nothing to say at any of the inputs."""
        try:
            findings = [self._held(drawn) for drawn in self.file.ready(self.nodeid)]
        except OnnxlinError as error:
            raise Told(str(error)) from error
        reasons = {finding.reason: None for finding in findings if finding.reason}
        said = len(findings) - sum(bool(finding.reason) for finding in findings)
        self.user_properties.append(("onnxlin: inputs at which it holds", f"{said}"))
        if not said:
            pytest.skip(shown_lines("; ".join(reasons)) or "no input was drawn")

    def _held(self, drawn: Drawn) -> Finding:
        found = hold(self.file.subject, drawn, self.law, self.mode)
        if found.verdict == FAILED:
            raise Told(self._described(found))
        if drawn.kind == "given" and found.reason:
            # At an input of the user's own, that there is no map is a failure.
            self.file.subject.map(drawn.feeds, self.mode)
        return found

    def _described(self, found: Finding) -> str:
        """Shrink the input, write it with a script, and say all that is known."""
        subject, small = self.file.subject, self._shrunk(found)
        again = hold(subject, Drawn("", "", small.feeds), self.law, self.mode)
        size = sum(value.size for value in small.feeds.values())
        lines = [
            str(again.error or found.error),
            f"  x: {found.drawn.name}, shrunk to {small.entries} of {size} entries that are not 0"
            + ("" if small.complete else " (the time for shrinking ended first)"),
            *(f"    {line}" for line in _written(small)),
        ]
        files = reproducer(self._prefix(), str(self.path), small.feeds, self._options())
        return "\n".join([*lines, f"  reproduce: python {files[1]}"])

    def _shrunk(self, found: Finding) -> Shrunk:
        subject = self.file.subject
        kinds, fails = subject.linearizer(self.mode).graph.inputs, fails_alike(subject, found)
        return shrink(found.drawn.feeds, fails, kinds=kinds, calls=CALLS, seconds=SECONDS)

    def _options(self) -> dict[str, Any]:
        return {"mode": self.mode, "laws": [self.law.name]} | self.file.asked

    def _prefix(self) -> Path:
        name = f"{self.path.stem}.{self.mode}.{self.law.name}"
        folder = self.config.getoption("--onnxlin-reproducers")
        if folder is not None:
            return Path(self.config.invocation_params.dir, folder, name)
        cache = getattr(self.config, "cache", None)  # -p no:cacheprovider leaves none
        return (Path(tempfile.mkdtemp()) if cache is None else cache.mkdir("onnxlin")) / name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the message alone where it says everything."""
        if isinstance(excinfo.value, Told | OnnxlinError | LawError):
            return f"{self.nodeid}\n{excinfo.value}"
        return super().repr_failure(excinfo, style)


def _written(small: Shrunk) -> Iterator[str]:
    """The first entries that are not 0, by name and place."""
    for name, value in small.feeds.items():
        places = list(zip(*value.nonzero(), strict=True)) if value.ndim else []
        shown = ", ".join(f"[{','.join(map(str, at))}] {value[at]}" for at in places[:8])
        more = f" and {len(places) - 8} more" if len(places) > 8 else ""
        yield f"{name} {value.dtype}{value.shape}: {shown or value.ravel()[:1]}{more}"
