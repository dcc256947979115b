"""Every exception that onnxlin raises on purpose.

A message says what was asked, what was found and what to do next.
"""

from onnxlin.texts import shown_lines

FOREIGN = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
)
"""What Python, NumPy, protobuf and onnx raise on numbers, shapes and attributes that do not fit.

Caught at few places, where a node of a model is read: there it becomes an error that names it.
"""


class OnnxlinError(Exception):
    """Base of every error raised on purpose."""

    def __str__(self) -> str:
        # A message names tensors and nodes of strangers' models, and is printed anywhere.
        return shown_lines(super().__str__())


class ModelError(OnnxlinError):
    """The model cannot be read, or is not a valid ONNX model."""


class LimitError(ModelError):
    """A model or a file asks for more than `onnxlin.limits` lets it.

    ``limit`` is the field of `onnxlin.limits.Limits` that it passes; None where it is the memory or
    the time that there is.
    """

    limit: str | None = None


class SandboxError(OnnxlinError):
    """What ran in a child process crashed, hung, or passed its limits of memory and time.

    Parameters
    ----------
    text : str
    stage : str, optional
        How far it was: a key of `onnxlin.runtime.sandbox.stages.STAGES`.
    signal : str, optional
        What ended it, such as "SIGSEGV", or "exit 3".
    limit : {"memory", "time"}, optional
        What it passed.
    place : str, optional
        The line of onnxlin's that was at work, if that is known.
    """

    def __init__(
        self,
        text: str,
        *,
        stage: str | None = None,
        signal: str | None = None,
        limit: str | None = None,
        place: str | None = None,
    ) -> None:
        super().__init__(text)
        self.stage, self.signal, self.limit, self.place = stage, signal, limit, place


class InputError(OnnxlinError):
    """The instance x does not fit the model: name, shape, dtype or values."""


class DataError(InputError):
    """A data set is gone, or has changed since a run began to read it."""


class RunError(OnnxlinError):
    """A run over a data set cannot go on: its workers die, or its scheduler is gone."""


class TensorNameError(OnnxlinError):
    """A name given as input or output is no tensor of the graph, or cannot serve as one."""


class RowsError(OnnxlinError):
    """The rows asked for do not exist, or are no matrix of combinations."""


class OptionError(OnnxlinError):
    """An option (mode, engine, dtype, memory) has a value that onnxlin does not know."""


class FileError(OptionError):
    """A file cannot be written, or holds something else than it should."""


class MissingRuleError(OnnxlinError):
    """Nodes on the way from the inputs to the outputs have no rule; all of them are listed."""


class UnsupportedNodeError(OnnxlinError):
    """A rule knows the operator, but not this use of it (an attribute, a traced operand)."""


class CompileError(OnnxlinError):
    """The model has a map at every x, but cannot become one graph for all of them."""


class RuleError(OnnxlinError):
    """A rule answered with an affine piece that does not fit its node."""


class TraceError(OnnxlinError):
    """onnxruntime could not load or run the model."""


class MemoryBudgetError(OnnxlinError):
    """The chosen engine would need more memory than it may use.

    Attributes
    ----------
    need : int or None
        Bytes that would do, as far as this has been looked at.
    """

    def __init__(self, text: str, need: int | None = None) -> None:
        super().__init__(text)
        self.need = need


class RegionError(OnnxlinError):
    """There is no linear region, or nobody can say where it ends."""


class ResidualError(OnnxlinError):
    """W x + b departs from F(x) by more than rounding allows."""


class UndecidedError(ResidualError):
    """W x + b agrees with F(x), but rounding may be as large as F(x): that proves nothing."""


class DetachedError(OnnxlinError):
    """A map that was loaded from a file has no program to answer with."""
