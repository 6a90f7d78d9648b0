# SPDX-License-Identifier: Apache-2.0
"""Import and export without rules, for every model beside the project: ONNX's checker accepts the
result, and ONNX Runtime computes the same from both files, bit for bit.

    round_trip_test.py RULEC SHARED
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

SKIPPED = 77  # what ctest takes for "skipped"
DTYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(int32)": np.int32,
    "tensor(int64)": np.int64, "tensor(bool)": np.bool_,
}


def session(path):
    """An ONNX Runtime session that changes nothing, or None for a model that it cannot load."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception:  # its own classes are not public
        return None


def made_inputs(runner):
    """Seeded inputs by the declared types; unknown sizes are 1, but 64 for a picture's."""
    rng = np.random.default_rng(0)
    feeds = {}
    for port in runner.get_inputs():
        if port.type not in DTYPES:
            return None
        picture = len(port.shape) == 4
        shape = [d if isinstance(d, int) and d > 0 else (64 if picture and i in (1, 2) else 1)
                 for i, d in enumerate(port.shape)]
        values = rng.uniform(0, 1, shape)
        integral = np.issubdtype(DTYPES[port.type], np.integer)
        feeds[port.name] = (values * 2 if integral else values).astype(DTYPES[port.type])
    return feeds


def same(a, b):
    """Bit for bit, sequences and maps element by element."""
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=np.asarray(a).dtype.kind == "f")


def main(rulec, shared):
    models = sorted(pathlib.Path(shared, "models").rglob("*.onnx"))
    if not models:
        print(f"no models in {shared}/models: skipped")
        return 1 if os.environ.get("CI") == "true" else SKIPPED
    compared, failed = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for path in models:
            out = pathlib.Path(folder, path.name)
            run = subprocess.run([rulec, "rewrite", path, "-o", out], capture_output=True, text=True)
            why = run.stderr.strip() if run.returncode else ""
            if not why:
                try:
                    onnx.checker.check_model(str(path))
                    accepted = True
                except onnx.checker.ValidationError:
                    accepted = False  # the original is refused too
                try:
                    onnx.checker.check_model(str(out))
                except onnx.checker.ValidationError as error:
                    why = f"the checker refuses it: {error}" if accepted else ""
            before = None if why else session(path)
            feeds = made_inputs(before) if before else None
            if feeds is not None:
                try:
                    want = before.run(None, feeds)
                except Exception:
                    want = None  # made-up inputs that the model does not take
                if want is not None:
                    after = session(out)
                    got = after.run(None, feeds) if after else []
                    compared += 1
                    if not same(want, got):
                        why = "ONNX Runtime computes something else"
            if why:
                failed += 1
                print(f"{path.name}: {why}")
    print(f"{len(models)} models, {compared} also compared by their numbers")
    print(f"{len(models) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
