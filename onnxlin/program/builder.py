"""Ask the rules: a section and the tensors of one run -> its linear program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxlin.graph import Node
from onnxlin.graph.sequences import flattened
from onnxlin.graph.subgraphs import prefixed
from onnxlin.load import load
from onnxlin.lowering import NotStaticError
from onnxlin.operators.families import is_open_ended
from onnxlin.primitives import Array
from onnxlin.program.ask import Ask, Pieces
from onnxlin.program.bodies import with_constants
from onnxlin.program.build import Build
from onnxlin.program.check import require_rules
from onnxlin.program.linear_program import Decision, LinearProgram, Step
from onnxlin.program.pieces import alias, make_decision, make_step
from onnxlin.program.prefixes import Prefixes
from onnxlin.program.sweep import spent
from onnxlin.rules import Body, NodeAtX, Rule, rule_of
from onnxlin.runtime.deadline import require_time
from onnxlin.section import Section, make_section
from onnxlin.section.trace import Captures, OpenTracer


class Builder:
    """Makes the linear program of a section at one x after another.

    Pieces whose rules did not look at x are kept and used again, and so are opened bodies.

    Parameters
    ----------
    section : Section
    open_tracer : callable
        Opens the runtime for a section, with the outputs that its rules ask for.
    mode : {"tangent", "frozen"}
    prefixes : Prefixes, optional
        Of the bodies that its nodes are opened into.
    """

    def __init__(
        self,
        section: Section,
        open_tracer: OpenTracer,
        mode: str,
        prefixes: Prefixes | None = None,
    ) -> None:
        self.section = section
        self.mode = mode
        self.ask = Ask(section, mode)
        self.tracer = open_tracer(section, _captures(section))
        self.open_tracer = open_tracer
        self._kept: dict[Any, list[Step]] = {}
        self._bodies: dict[Any, Builder] = {}
        self._prefixes = Prefixes() if prefixes is None else prefixes
        self._spent = spent((node.reads for node in section.nodes), section.outputs)

    def __call__(self, values: dict[str, Array], dtype: np.dtype[Any]) -> LinearProgram:
        """Build the program at the x whose run gave ``values``; bodies add theirs to it."""
        inputs = {name: values[name].shape for name in self.section.inputs}
        outputs = {name: values[name].shape for name in self.section.outputs}
        given = {name: values[name].astype(dtype) for name in inputs}
        coarse = any(values[name].dtype != dtype for name in inputs)
        build = Build(values, dtype, [], given, set(inputs), coarse=coarse)
        self.extend(build)
        build.finish()
        reached = {*inputs, *(step.output for step in build.steps)}
        constants = {name: values[name] for name in outputs if name not in reached}
        steps, decisions = tuple(build.steps), tuple(build.decisions)
        return LinearProgram(inputs, outputs, steps, constants, dtype, decisions)

    def extend(self, build: Build) -> None:
        """Append the steps of this section to a program in the making."""
        for whole, done in zip(self.section.nodes, self._spent, strict=True):
            require_time()
            node = flattened(whole, build.values, build.whole)
            touched = [build.values[name] for name in node.reads + node.writes]
            alive = tuple(name in build.alive for name in node.reads)
            marked = tuple(name in build.still for name in node.reads)
            shapes = (getattr(v, "shape", None) for v in touched)
            key = (node.name, build.dtype, alive, marked, *shapes)
            if key not in self._kept:
                try:
                    steps, varies = self._steps(whole, node, build)
                except NotStaticError as error:
                    where = f"{node.op_type} at node {node.name!r}"
                    raise NotStaticError(f"{where}: {error}") from error
                if not varies:
                    self._kept[key] = steps
                build.add(steps)
            else:
                build.add(self._kept[key])
            build.done(() if build.whole else done)  # sequences hand on tensors of other names

    def _steps(self, whole: Node, node: Node, build: Build) -> tuple[list[Step], bool]:
        """Linearise one node: its steps, and whether they may be others at another x.

        ``node`` is the ``whole`` one with tensors in the place of sequences.
        """
        rule = self.ask.rule(node)
        at_x, answer = self._asked(whole if rule.status == "unrolled" else node, rule, build)
        if isinstance(answer, Body):
            if is_open_ended(node):
                why = "x may decide how often it goes round"
                build.decisions.append(Decision(node, at_x.out_shape, tuple, why))
            return self._expanded(node, answer, build), True
        steps = self.ask.steps(rule, at_x, answer, build)
        decision = make_decision(at_x, answer)
        if decision is not None:
            build.decisions.append(decision)
        if self._departs(at_x, steps, build):
            steps = [replace(step, twin=self._twin(rule, step, build)) for step in steps]
        # What is kept from one x to the next is steps alone, without where they hold.
        return steps, at_x.looked or at_x.anew or decision is not None

    def _asked(self, node: Node, rule: Rule, build: Build) -> tuple[NodeAtX, Pieces | Body]:
        """Ask a rule; for a body it is shown integers as such, since the body will read them."""
        opened = rule.status in ("expanded", "unrolled")
        at_x = self._at_x(node, rule, build, as_they_are=opened)
        answer = self.ask.answer(rule, at_x)
        if isinstance(answer, Body) and not opened and self.section.carriers:
            at_x = self._at_x(node, rule, build, as_they_are=True)
            answer = self.ask.answer(rule, at_x)
        return at_x, answer

    def _at_x(
        self,
        node: Node,
        rule: Rule,
        build: Build,
        *,
        native: bool = False,
        as_they_are: bool = False,
    ) -> NodeAtX:
        captured = self.tracer.native_outputs(node, build.values) if rule.captures else {}
        return self.ask.at_x(node, build, captured, native=native, as_they_are=as_they_are)

    def _departs(self, at_x: NodeAtX, steps: Sequence[Step], build: Build) -> bool:
        """Whether the pieces may depart from those at the runtime's tensors: these are rounded."""
        if not (build.coarse or build.dtype != _native_dtype(at_x, build)):
            return False
        held = any(name in build.made and name not in build.alive for name in at_x.node.reads)
        return held or any(step.status == self.mode for step in steps)

    def _twin(self, rule: Rule, step: Step, build: Build) -> Callable[[], Step]:
        """Make the same piece at the tensors that the runtime had, for comparing with it."""
        at_x = self._at_x(step.node, rule, build, native=True)

        def twin() -> Step:
            answer = self.ask.answer(rule, at_x)
            assert not isinstance(answer, Body)
            i = step.node.outputs.index(step.output)
            return make_step(at_x, i, answer[i], step.status)

        return twin

    def _expanded(self, node: Node, body: Body, build: Build) -> list[Step]:
        """Linearise a node as its body: run that on the node's inputs, and put its steps here."""
        if not any(outer in build.alive for outer in body.feeds.values()):
            ends = [node.outputs[i] for i in self.ask.wanted(node, build)]
            return [alias(node, name, name, build) for name in ends]
        prefix = self._prefixes.of(node.name)
        inner = self._opened(node, prefix, body, build)
        section = inner.section
        feeds = {prefix + name: build.values[outer] for name, outer in body.feeds.items()}
        feeds = {name: value for name, value in feeds.items() if name in section.graph.inputs}
        build.values.update(inner.tracer(feeds))
        start = len(build.steps)
        for name, outer in body.feeds.items():
            if prefix + name in section.inputs:
                build.add([alias(node, outer, prefix + name, build)])
        inner.extend(build)
        made = [replace(step, inner=True) for step in build.steps[start:]]
        del build.steps[start:]
        pairs = [(prefix + body.outputs[i], node.outputs[i]) for i in self.ask.wanted(node, build)]
        self.tracer.expanded(pairs)
        made += [replace(alias(node, a, b, build), joins=True) for a, b in pairs]
        return made

    def _opened(self, node: Node, prefix: str, body: Body, build: Build) -> Builder:
        """Load a body, with the node's constant inputs as its initialisers."""
        fixed = {n: o for n, o in body.feeds.items() if self.ask.is_fixed(o, build)}
        feeds = {n: o for n, o in body.feeds.items() if n not in fixed}
        numbers = {n for n, o in feeds.items() if self.ask.is_number(o, build)}
        alive = tuple(n for n, o in feeds.items() if o in build.alive and n in numbers)
        wanted = tuple(body.outputs[i] for i in self.ask.wanted(node, build))
        shapes = tuple((build.values[o].shape, build.values[o].dtype) for o in feeds.values())
        key = (node.name, body.key, alive, wanted, shapes)
        if key not in self._bodies:
            model = with_constants(
                self.ask.made(node, body), {n: build.values[o] for n, o in fixed.items()}
            )
            graph = load(prefixed(model, prefix))
            inputs, outputs = ([prefix + name for name in names] for names in (alive, wanted))
            like = self.section
            how = {"deciding": like.deciding, "body": True}
            gates = like.gates.inside(node.name)
            section = make_section(graph, inputs, outputs, like.rounding, gates=gates, **how)
            require_rules(section)
            inside = self._prefixes.inside(prefix)
            self._bodies[key] = Builder(section, self.open_tracer, self.mode, inside)
        return self._bodies[key]


def deciding(own: Builder) -> Builder:
    """Return a builder of the same programs with every decision in them: itself where it does.

    See `onnxlin.section.Section`.
    """
    given = own.section
    section = make_section(
        given.graph,
        given.inputs,
        given.outputs,
        given.rounding,
        deciding=True,
        gates=given.gates,
    )
    rules = [rule_of(given.graph, node, given.rounding) for node in section.nodes]
    opened = any(rule and rule.status in ("expanded", "unrolled") for rule in rules)
    if section.nodes == given.nodes and not opened:
        return own
    require_rules(section)
    return Builder(section, own.open_tracer, own.mode)


def _captures(section: Section) -> Captures:
    """Say which further outputs of its nodes the rules of a section ask for."""
    rules = ((n.name, rule_of(section.graph, n, section.rounding)) for n in section.nodes)
    return {name: rule.captures for name, rule in rules if rule and rule.captures}


def _native_dtype(at_x: NodeAtX, build: Build) -> np.dtype[Any]:
    """Precision in which the runtime had the operands that depend on x, or would if not held."""
    found = [o for o in at_x.operands if o is not None and (o.traced or o.name in build.made)]
    kinds = [o.native.dtype for o in found]
    return kinds[0] if kinds else at_x.dtype
