"""Print the first shell block under a heading of README.md."""

import pathlib
import re
import sys

text = pathlib.Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")
section = re.search(rf"^#+ {re.escape(sys.argv[1])}$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
block = section and re.search(r"^```sh\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
if not block:
    sys.exit(f"README.md has no shell block under the heading {sys.argv[1]!r}")
print(block[1], end="")
