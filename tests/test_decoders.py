"""Decoders of seven families, small: exact to 1e-13 in float64, b = 0 where no layer has a bias."""

from __future__ import annotations

import numpy as np
import pytest

import onnxlin
from fixtures.decoders import FAMILIES, SMALL, Decoder, instance
from onnxlin.affine_map import Verdict
from onnxlin.readings import structural_zero

LAST = [(SMALL.tokens - 1) * SMALL.vocabulary, SMALL.tokens * SMALL.vocabulary - 1]
BIASED = {"GPT-2", "Phi"}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_decoder_is_its_frozen_map(name: str) -> None:
    proto = Decoder(FAMILIES[name], SMALL).model()
    for mode in ("frozen", "tangent"):
        lin = onnxlin.Linearizer(proto, mode=mode)
        for padded in (0, 2):
            m = lin(instance(SMALL, padded), rows=LAST).verify()
            assert m.residual.max() <= 1e-13
            # Under the causal mask alone, and with padding: rounding is told from a fault.
            assert m.verdict is Verdict.PASS
            if padded:
                own = m.W.reshape(2, SMALL.tokens, SMALL.width)
                assert not own[:, :padded].any()
                assert own[:, padded:].any(axis=(0, 2)).all()
        if mode == "frozen":
            zero = structural_zero(m)
            assert bool(zero) == (name not in BIASED)
            assert np.any(m.b) == (name in BIASED)
