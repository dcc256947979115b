"""The answer: W and b of a model at one input, with what proves and what explains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import onnx
from scipy.sparse.linalg import LinearOperator

from onnxlin.affine_map import file, html, model, proof
from onnxlin.affine_map.layer import Layer
from onnxlin.affine_map.names import NAMELESS, Names
from onnxlin.affine_map.origin import Origin
from onnxlin.affine_map.sent import Sent
from onnxlin.affine_map.tables import Tabled
from onnxlin.affine_map.wide import by_rows
from onnxlin.engines.confined import confined
from onnxlin.engines.job import Solution, total
from onnxlin.engines.operator import MapOperator
from onnxlin.engines.plan import ENGINES, estimated
from onnxlin.engines.seeds import Seeds
from onnxlin.errors import DetachedError
from onnxlin.files import File
from onnxlin.primitives import Array, Shape
from onnxlin.program import slices
from onnxlin.section.feeds import flattened
from onnxlin.section.numbers import flat
from onnxlin.section.options import number
from onnxlin.texts import shown


class AffineMap(Sent, Tabled):
    """The affine map that a model is at x: ``F(x) = W x + b`` for the rows asked.

    W, b and what follows from them are computed when they are first asked for, then kept.

    Attributes
    ----------
    inputs, outputs : {tensor name: array}
        x and F(x) with names and shapes; outputs are complete, whatever the rows.
    rows : Seeds
        The rows asked.
    mode, rounding, engine, plan : str
        The readings of smooth operators and of rounding, the engine, and why that engine.
    dtype : numpy.dtype
        Of W.
    notes : tuple of str
        What was chosen for the caller; of a compiled map, once `bound` is known, fallen near ties.
    """

    def __init__(
        self,
        *,
        inputs: Mapping[str, Array],
        outputs: Mapping[str, Array],
        rows: Seeds,
        mode: str,
        engine: str,
        plan: str,
        dtype: npt.DTypeLike,
        origin: Origin | Callable[[], Origin] | None,
        notes: Sequence[str] = (),
        rounding: str = "staircase",
        solution: Solution | None = None,
        own: Callable[[], Mapping[str, Array]] | None = None,
        bound: Array | None = None,
        needs: int | None = None,
        names: Names = NAMELESS,
    ) -> None:
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        self.rows, self.dtype = rows, np.dtype(dtype)
        self.mode, self.rounding = mode, rounding
        self.engine, self.plan = engine, plan
        self.notes, self.names = tuple(notes), names
        self._origin, self._needs = origin, needs
        if solution is not None:
            vars(self)["_solution"] = solution
        super().__init__(bound, own, origin.anew if isinstance(origin, Origin) else origin)

    def __repr__(self) -> str:
        shape = f"{len(self.rows)} x {len(self.x)}"
        ends = shown(f"{list(self.inputs)} -> {list(self.outputs)}")
        return f"<AffineMap {ends}, W {shape} {self.dtype}>"

    @cached_property
    def x(self) -> Array:
        """The linearised inputs as the model saw them, flattened, ``(n_in,)``, float64."""
        return flattened(self.inputs)

    @cached_property
    def y(self) -> Array:
        """F(x) as onnxruntime computed it, for the rows asked, ``(n_rows,)``, float64."""
        return self.rows.apply(flattened(self.outputs))

    def _repr_html_(self) -> str:
        known = "_solution" in vars(self)
        return html.to_html(self, known=known, bounded=self.known_bound is not None)

    # W, b and their parts

    @cached_property
    def _solution(self) -> Solution:
        job = self.made_from("W").job
        with confined(job.threads):
            return ENGINES[self.engine](job)

    @property
    def W(self) -> Array:  # noqa: N802  # the name that the mathematics has
        """The matrix, ``(n_rows, n_in)``: outputs and inputs in C order."""
        return self._solution.W

    @cached_property
    def b(self) -> Array:
        """The bias, ``(n_rows,)``, float64."""
        return total(self.bias_by_node, len(self.rows))

    @property
    def bias_by_node(self) -> Mapping[str, Array]:
        """Share of b that each node brings in, ``{node name: (n_rows,)}``; they sum to b."""
        return self._solution.bias

    @property
    def memory_needed(self) -> int | None:
        """Bytes that computing W takes, by an estimate; None of a map that was loaded.

        The model's constants and what onnxruntime copies of them, the tensors of the run and the
        pieces at x, W, and one sweep: what ``memory=`` is held against.
        """
        if self._needs is None and isinstance(self._origin, Origin):
            self._needs = estimated(self._origin.job, self.engine)
        return self._needs

    @property
    def contributions(self) -> Array:
        """``W * x``, signed, ``(n_rows, n_in)``."""
        found: Array = self.W * self.x.astype(self.dtype)
        return found

    @cached_property
    def Wx(self) -> Array:  # noqa: N802
        """``W x`` in float64, ``(n_rows,)``."""
        return by_rows(self.W, lambda W: W @ self.x)

    def __call__(self, x: npt.ArrayLike | Mapping[str, npt.ArrayLike]) -> Array:
        """``W x + b`` at any x: flattened, of the input's shape, or ``{input name: array}``."""
        at = flat("x", x, self.shapes[0])
        return by_rows(self.W, lambda W: W @ at) + self.b

    def operator(self) -> LinearOperator:
        """W as a `scipy.sparse.linalg.LinearOperator`, without forming it."""
        return MapOperator(self.made_from("operator()").program, self.rows)

    # What proves it

    def verify(self, tol: float | None = None) -> AffineMap:
        """Check the map against the run; return it if rounding explains every difference.

        Parameters
        ----------
        tol : float, optional
            Allowed `residual` of every row; by default `bound`, which follows from the precision
            and the depth (docs/exactness.md). Beside it every node is compared on its own with
            the traced tensors, and the composition with the program's own forward pass.

        Raises
        ------
        ResidualError
            With the worst output, its numbers, and the first node that departs.
        UndecidedError
            Without ``tol``, where nothing departs, but the bound of some row exceeds the size of
            F: a ResidualError that says which node is the reason.
        """
        proof.verify(self, None if tol is None else number("tol", tol))
        return self

    # What it was made from

    @property
    def detached(self) -> bool:
        """Whether the map has no program: it was loaded from a file, or made without."""
        return self._origin is None

    def made_from(self, what: str) -> Origin:
        """Return what the map was made from: its program, the run's tensors, the job of the engine.

        Parameters
        ----------
        what : str
            What needs it, for the message.

        Raises
        ------
        DetachedError
            The map was loaded from a file.
        ModelError
            A file that holds the model's weights has been written to.
        """
        if callable(self._origin):
            self._origin = self._origin()
        if self._origin is None:
            raise DetachedError(
                f"{what} needs the linear program, which a map loaded from a file does not have. "
                "Linearise the model again."
            )
        return self._origin.unchanged()

    # What explains it

    @cached_property
    def layers(self) -> list[Layer]:
        """The pieces in order; their matrices are made when asked for."""
        program = self.made_from("layers").program
        return [Layer(step, program.dtype) for step in program.steps]

    @property
    def shapes(self) -> tuple[dict[str, Shape], dict[str, Shape]]:
        """Shapes of the inputs and of the outputs."""
        ins = {name: value.shape for name, value in self.inputs.items()}
        return ins, {name: value.shape for name, value in self.outputs.items()}

    @property
    def columns_of(self) -> dict[str, slice]:
        """Where each input's features lie among the columns of W."""
        return dict(slices(self.shapes[0]))

    @property
    def pattern_key(self) -> str:
        """Name of the activation pattern: equal keys of one model, equal W and b."""
        return self.made_from("pattern_key").program.pattern_key()

    def near_kinks(self, distance: float = 0.0) -> dict[str, int]:
        """Count units within ``distance`` of a kink, for every node that has kinks.

        The distance is in units of the node's own input; 0 counts ties: ReLU at 0, equal window
        maxima, edges of Clip. At a tie the map is that of the side that the rule names.
        """
        distance = number("distance", distance)
        steps = self.made_from("near_kinks").program.steps
        return {
            step.node.name: int(np.count_nonzero(step.margin() <= distance))
            for step in steps
            if step.margin is not None
        }

    # Files

    def save(self, path: File) -> None:
        """Write W, b, x, y, residual and bias shares as ``.npz`` (docs/map_file.md).

        Parameters
        ----------
        path : path, or an open binary file
            ``.npz`` is put behind a name that does not end so.

        Raises
        ------
        FileError
            It cannot be written; what was there before is there still.
        """
        file.write(path, self, self.known_bound)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the map as a tiny ONNX model: one Gemm, which any runtime computes.

        Inputs have the names and shapes that the model's have, of this map's dtype; so have the
        outputs if all rows were asked, else there is one vector ``rows``. It equals the model at x
        and in the linear region of x, and is W x + b everywhere.
        """
        return model.to_model(self)

    @classmethod
    def load(cls, path: File, *, mmap: bool = False) -> AffineMap:
        """Read what `save` wrote: everything that follows from W and b, without the program.

        Parameters
        ----------
        path : path, or an open binary file
            As it was given to `save`. Nothing in the file is run, or believed unseen: it holds no
            pickle, its parts must fit each other, and its checksum its numbers. A file of an older
            onnxlin has none; a note of the map says so.
        mmap : bool
            Leave W in the file, which must have a name: it is a read-only `numpy.memmap`, of which
            no more is in memory than is looked at. It is held against the checksum all the same,
            once, a few rows at a time.

        Raises
        ------
        ModelError
            It is no saved map, or is damaged.
        LimitError
            It unpacks to more than `onnxlin.limits` lets it; a ModelError.
        OptionError
            ``mmap`` of an open file, a pipe or a device.
        """
        found = file.read(path, mapped=mmap)
        solution = Solution(found.pop("W"), found.pop("bias"))
        return cls(**found, solution=solution, origin=None)
