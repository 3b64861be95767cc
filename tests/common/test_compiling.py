"""What is said while kernels are compiled, and that nothing is once they are kept."""

import json
import os
import subprocess
import sys

_MAPS = """
import json, sys
import numpy as np
import napari_blochnet as nb

said = []
truth = nb.Phantom(np.full((1, 2, 3), 900.0), np.full((1, 2, 3), 80.0), np.ones((1, 2, 3)))
def progress(done, total, message=""):
    said.append(message)
stack = nb.simulate(truth, nb.spline_schedule(length=30), progress=progress)
simulated = len(said)
nb.reconstruct(stack, "dictionary", step=0.3, progress=progress)
print(json.dumps([said[:simulated], said[simulated:]]))
"""
_WORDS = "compiling the kernels, once on this machine"


def test_compiling_is_said_once_on_a_machine(tmp_path):
    def run():
        env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", _MAPS], capture_output=True, text=True, env=env, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    for said in run():
        assert _WORDS in said
        # the work says how far it is after that
        assert said[-1] != _WORDS
    assert all(_WORDS not in said for said in run())
