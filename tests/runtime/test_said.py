"""What onnxruntime says, when its message is no text."""

import pytest

from onnxlin.errors import TraceError
from onnxlin.runtime import session as door


class Failing:
    def run(self, *_):
        b"label \xff".decode()


def test_a_message_that_is_no_text_is_told_all_the_same() -> None:
    with pytest.raises(TraceError, match=r"label \\xff"):
        door.run(Failing(), [], {})
