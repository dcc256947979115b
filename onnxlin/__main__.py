"""``python -m onnxlin``."""

import sys

from onnxlin.cli import main

if __name__ == "__main__":
    sys.exit(main())
