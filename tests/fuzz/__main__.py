"""``python -m tests.fuzz``: a long run; Ctrl-C ends it, and the next one goes on from there."""

from __future__ import annotations

import argparse
import math
import signal
import sys
from pathlib import Path

from tests.fuzz.campaign import Campaign
from tests.fuzz.verdicts import NATIVE


def main() -> int:
    """Run and print the counts; 1 if there is a fault of onnxlin's."""
    asked = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    asked.add_argument("--hours", type=float, help="stop after so long")
    asked.add_argument("--inputs", type=int, help="stop after so many (1,000 without --hours)")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--workers", type=int, default=1)
    asked.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="(build/fuzz)")
    asked.add_argument("--few", action="store_true", help="without the specification's cases")
    asked.add_argument("--no-shrink", action="store_true", help="leave inputs as they were found")
    options = asked.parse_args()
    seconds = math.inf if options.hours is None else options.hours * 3600
    inputs = options.inputs or (1_000 if options.hours is None else sys.maxsize)
    # As Ctrl-C: a run in the background has no terminal, and is deaf to SIGINT.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    campaign = Campaign(options.folder, options.seed, all_cases=not options.few)
    try:
        campaign.run(
            inputs=inputs, seconds=seconds, workers=options.workers, shrinking=not options.no_shrink
        )
    except KeyboardInterrupt:
        print("interrupted; the next run goes on from here", file=sys.stderr)
    print(campaign.done)
    return 1 if any(not key.startswith(NATIVE) for key in campaign.done.faults) else 0


if __name__ == "__main__":
    sys.exit(main())
