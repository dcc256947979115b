"""What a person reads off a map."""

from onnxlin.readings.attributions.baselines import baselines
from onnxlin.readings.attributions.full import full_grad, full_gradient
from onnxlin.readings.attributions.gradients import (
    Attribution,
    gradient,
    gradient_times_input,
    smooth_grad,
)
from onnxlin.readings.attributions.occlusion import occlusion
from onnxlin.readings.attributions.path import integrated_gradients, sampled_gradients
from onnxlin.readings.audit.audit import Audit, audit
from onnxlin.readings.bias.ledger import BiasMap, Ledger, bias_maps, ledger
from onnxlin.readings.bias.spread import Spread, spread_bias
from onnxlin.readings.bias.structural import StructuralZero, structural_zero
from onnxlin.readings.compare.blame import Blame, blame
from onnxlin.readings.compare.compare import compare
from onnxlin.readings.compare.comparison import Comparison
from onnxlin.readings.data.ensemble import Ensemble
from onnxlin.readings.data.evaluate import Evaluation, evaluate
from onnxlin.readings.data.grouping import group
from onnxlin.readings.data.groups import Groups, LocalModel
from onnxlin.readings.data.scores import Scores
from onnxlin.readings.judging.curves import deletion, insertion, pixel_flipping
from onnxlin.readings.judging.fidelity import infidelity, noisy_infidelity, sensitivity_n
from onnxlin.readings.judging.judge import Judgement, judge
from onnxlin.readings.judging.removals import removals
from onnxlin.readings.judging.stability import Stability, max_sensitivity, stability
from onnxlin.readings.path import walk
from onnxlin.readings.plane import partition
from onnxlin.readings.question.question import Question
from onnxlin.readings.region import Region, drift
from onnxlin.readings.row.annotated import annotated
from onnxlin.readings.row.attributor import Attributor, Explainer
from onnxlin.readings.row.contributions import (
    Contributions,
    Relative,
    contributions,
    margin,
    mean,
    relative,
)
from onnxlin.readings.row.dot import to_dot
from onnxlin.readings.row.layers import LiveUnits, between, layer, live_units
from onnxlin.readings.row.report import report
from onnxlin.readings.row.shap import explanation
from onnxlin.readings.row.singular import Norms, Spectrum, norms, spectrum
from onnxlin.readings.stream.depths import Depth, Depths, depths
from onnxlin.readings.stream.find import Place
from onnxlin.readings.stream.hidden import HiddenMap, hidden_maps
from onnxlin.readings.stream.operators import (
    Embedding,
    TokenOperator,
    input_embedding,
    output_embedding,
    token_operators,
)

__all__ = [
    "Attribution",
    "Attributor",
    "Audit",
    "BiasMap",
    "Blame",
    "Comparison",
    "Contributions",
    "Depth",
    "Depths",
    "Embedding",
    "Ensemble",
    "Evaluation",
    "Explainer",
    "Groups",
    "HiddenMap",
    "Judgement",
    "Ledger",
    "LiveUnits",
    "LocalModel",
    "Norms",
    "Place",
    "Question",
    "Region",
    "Relative",
    "Scores",
    "Spectrum",
    "Spread",
    "Stability",
    "StructuralZero",
    "TokenOperator",
    "annotated",
    "audit",
    "baselines",
    "between",
    "bias_maps",
    "blame",
    "compare",
    "contributions",
    "deletion",
    "depths",
    "drift",
    "evaluate",
    "explanation",
    "full_grad",
    "full_gradient",
    "gradient",
    "gradient_times_input",
    "group",
    "hidden_maps",
    "infidelity",
    "input_embedding",
    "insertion",
    "integrated_gradients",
    "judge",
    "layer",
    "ledger",
    "live_units",
    "margin",
    "max_sensitivity",
    "mean",
    "noisy_infidelity",
    "norms",
    "occlusion",
    "output_embedding",
    "partition",
    "pixel_flipping",
    "relative",
    "removals",
    "report",
    "sampled_gradients",
    "sensitivity_n",
    "smooth_grad",
    "spectrum",
    "spread_bias",
    "stability",
    "structural_zero",
    "to_dot",
    "token_operators",
    "walk",
]
