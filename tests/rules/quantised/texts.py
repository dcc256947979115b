"""Numbers that go through integers in ways that no case of the specification has: as text.

Every text stands for two models, with TYPE a float type or an integer one: see `twins.Twins`.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser

X = np.array([[3, -2, 5], [4, 1, -6]], np.float32)
HEAD = """<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 3, "com.microsoft" : 1]>
agraph (float[2, 3] x) => (float y)
<bool go = {1}, int64 zero = {0}, int64 one = {1}, int64[1] row = {1}, int64[2] flat = {3, 2},
 int64[4] turn = {1, 1, 0, 0}, int64 trips = {3}, TYPE[3] w = {2, -3, 4}, TYPE[2] m = {3, -5},
 TYPE unit = {2}, TYPE[1] lone = {2}>
{
  q = Cast <to = KIND> (x)
  n = Neg (q)
"""
TAIL = """
  y = Cast <to = 1> (o)
}"""
TEXTS = {
    "Cast": "o = Identity (q)",
    "CastLike": "o = CastLike (q, w)",
    "Mod": "t = Abs (w) o = Mod <fmod = 1> (q, t)",
    "Mean of Sum": "t = Add (q, n) s = Add (t, q) o = ReduceMean <keepdims = 0> (s)",
    "ReduceLogSum": "a = Abs (q) o = ReduceLogSum <keepdims = 0> (a)",
    "ReduceLogSumExp": "o = ReduceLogSumExp <keepdims = 0> (q)",
    "ReduceL2": "o = ReduceL2 <keepdims = 0> (q)",
    "Einsum": 'o = Einsum <equation = "ij,j->i"> (q, w)',
    "Einsum of itself": 'o = Einsum <equation = "ij,kj->ik"> (q, n)',
    "MatMul of itself": "t = Transpose (q) o = MatMul (q, t)",
    "Gemm": "o = Gemm <transB = 1> (q, n)",
    "Trilu": "o = Trilu (q)",
    "Where": "c = Greater (q, w) o = Where (c, q, n)",
    "ScatterElements": """
        i = Constant <value = int64[1, 3] {1, 0, 1}> ()
        k = Constant <value_ints = [0]> ()
        u = Slice (n, k, row)
        o = ScatterElements <axis = 0> (q, i, u)""",
    "SequenceConstruct SequenceAt": "s = SequenceConstruct (q, n) o = SequenceAt (s, one)",
    "SequenceInsert": """
        s = SequenceConstruct (q, q) t = SequenceInsert (s, n, one) o = SequenceAt (t, one)""",
    "SequenceErase": """
        s = SequenceConstruct (q, n) t = SequenceErase (s, zero) o = SequenceAt (t, zero)""",
    "ConcatFromSequence": "s = SequenceConstruct (q, n) o = ConcatFromSequence <axis = 0> (s)",
    "SplitToSequence": "s = SplitToSequence <axis = 1> (n) o = SequenceAt (s, one)",
    "Identity of a sequence": """
        s = SequenceConstruct (q, n) t = Identity (s) o = SequenceAt (t, one)""",
    "Optional OptionalGetElement": "t = Optional (n) o = OptionalGetElement (t)",
    "SequenceMap": """
        s = SequenceConstruct (q, n)
        t = SequenceMap (s, q) <body = g (TYPE[2, 3] a, TYPE[2, 3] b) => (TYPE[2, 3] c) {
          c = Add (a, b)
        }>
        o = ConcatFromSequence <axis = 0> (t)""",
    "If": """
        o = If (go) <
          then_branch = g1 () => (TYPE[2, 3] a) { a = Mul (n, w) },
          else_branch = g2 () => (TYPE[2, 3] b) { b = Identity (q) }
        >""",
    "If that hands on": """
        o = If (go) <
          then_branch = g1 () => (TYPE[2, 3] a) { a = Identity (n) },
          else_branch = g2 () => (TYPE[2, 3] b) { b = Identity (q) }
        >""",
    "Loop": """
        s, all = Loop (trips, go, q) <
          body = g (int64 i, bool c, TYPE[2, 3] h) => (bool d, TYPE[2, 3] k, TYPE[2, 3] out) {
            d = Identity (c)
            k = Add (h, n)
            t = Cast <to = KIND> (i)
            out = Mul (k, t)
          }
        >
        r = Constant <value_ints = [6, 3]> ()
        e = Reshape (all, r)
        o = Concat <axis = 0> (s, e)""",
    "Loop that counts": """
        s, count = Loop (trips, go, q, zero) <
          body = g (int64 i, bool c, TYPE[2, 3] h, int64 at) => (
            bool d, TYPE[2, 3] k, int64 next
          ) {
            d = Identity (c)
            k = Add (h, q)
            next = Add (at, one)
          }
        >
        r = Cast <to = KIND> (count)
        o = Mul (s, r)""",
    "Scan": """
        h, all = Scan (w, q) <
          num_scan_inputs = 1,
          body = g (TYPE[3] a, TYPE[3] b) => (TYPE[3] c, TYPE[3] d) {
            c = Mul (a, b)
            d = Identity (c)
          }
        >
        k = Constant <value_ints = [0]> ()
        u = Unsqueeze (h, k)
        o = Concat <axis = 0> (u, all)""",
    "Scaler": "o = ai.onnx.ml.Scaler <offset = [1.0, 2.0, 3.0], scale = [2.0, 4.0, 0.5]> (q)",
    "LinearRegressor": """
        o = ai.onnx.ml.LinearRegressor <coefficients = [1.0, 2.0, 3.0], targets = 1> (q)""",
    "FeatureVectorizer": "o = ai.onnx.ml.FeatureVectorizer <inputdimensions = [3, 3]> (q, n)",
    "Normalizer": 'o = ai.onnx.ml.Normalizer <norm = "L1"> (q)',
    "ArrayFeatureExtractor": "o = ai.onnx.ml.ArrayFeatureExtractor (q, row)",
    "ExpandDims": "i = Cast <to = 6> (one) o = com.microsoft.ExpandDims (q, i)",
    "GatherND": """
        i = Constant <value = int64[2, 2] {1, 0, 0, 2}> () o = com.microsoft.GatherND (q, i)""",
    "com.microsoft.Trilu": "o = com.microsoft.Trilu <upper = 0> (q)",
    "UnfoldTensor": "o = com.microsoft.UnfoldTensor <dim = 1, size = 2, step = 1> (q)",
    "com.microsoft.Unique": """
        k = Constant <value_ints = [-1]> ()
        f = Reshape (q, k)
        o, i, c = com.microsoft.Unique (f)""",
    "com.microsoft.FusedGemm": """
        o = com.microsoft.FusedGemm <transB = 1, activation = "Relu"> (q, n)""",
    "com.microsoft.Pad": "o = com.microsoft.Pad (q, turn, unit)",
}
"""What it holds -> the nodes between q, the numbers, and o."""
BY_HAND = {
    "Mod as in Python": ("t = Abs (w) o = Mod <fmod = 0> (q, t)", np.ones(6)),
    "Imputer": (
        """o = ai.onnx.ml.Imputer <imputed_value_int64s = [7], replaced_value_int64 = 5> (q)""",
        X.ravel() != 5,
    ),
}
"""What no float operator does in the same way -> the nodes on int64, and the diagonal of W."""
ENDS = {
    "ArgMax": "i = ArgMax <axis = 1> (q) o = Cast <to = KIND> (i)",
    "Indices of TopK": "v, i = TopK (q, row) o = Cast <to = KIND> (i)",
    "NonZero": "i = NonZero (q) o = Cast <to = KIND> (i)",
    "Shape": "i = Shape (q) o = Cast <to = KIND> (i)",
    "Greater": "c = Greater (q, n) o = Cast <to = KIND> (c)",
    "Sign": "o = Sign (q)",
    "positions of Gather": "a = Sign (q) b = Cast <to = 7> (a) o = Gather (w, b)",
    "a position in a sequence": """
        a = ReduceMax <keepdims = 0> (q)
        b = Sign (a)
        i = Cast <to = 7> (b)
        s = SequenceConstruct (w, w)
        o = SequenceAt (s, i)""",
    "bits": "a = Cast <to = 7> (q) b = BitwiseAnd (a, a) o = Cast <to = KIND> (b)",
}
"""The same for what hands no numbers on: W = 0 on both sides."""


def model(nodes: str, kind: str) -> onnx.ModelProto:
    """The nodes on tensors of a type."""
    number = str(getattr(onnx.TensorProto, kind.upper()))
    text = (HEAD + nodes + TAIL).replace("TYPE", kind).replace("KIND", number)
    found = onnx.parser.parse_model(text)
    found.graph.output[0].ClearField("type")
    return found
