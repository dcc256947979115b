"""``python -m onnxlin``."""

import sys

if __name__ == "__main__":
    try:
        from onnxlin.cli import main

        code = main()
    except KeyboardInterrupt:  # before `main` has taken it over
        print("onnxlin: interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)
