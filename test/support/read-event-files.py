"""Prints what TensorBoard itself finds in a folder of runs: {run: {curve: [[step, value], …]}}."""

import json
import sys

from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

# 0: every point, not a sample of them.
found = EventMultiplexer(size_guidance={"scalars": 0}).AddRunsFromDirectory(sys.argv[1]).Reload()
curves = {
    run: {curve: [[point.step, point.value] for point in found.Scalars(run, curve)] for curve in tags["scalars"]}
    for run, tags in found.Runs().items()
}
print(json.dumps(curves))
