# SPDX-License-Identifier: Apache-2.0
"""Running a model in ONNX Runtime as it stands in the file, on seeded inputs, and comparing."""

import pathlib
import re

import numpy as np
import onnxruntime as ort

DTYPES = {"float": "float32", "double": "float64", "float16": "float16", "uint8": "uint8",
          "int8": "int8", "int32": "int32", "int64": "int64", "bool": "bool"}


def session(path):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def made_inputs(runner, seed, path):
    """Inputs that lie beside the model (in0/name in an .npz), else seeded ones by the declared
    types; an unknown size is 1, of a picture 64, else 4."""
    beside = pathlib.Path(path).with_suffix(".npz")
    if beside.exists():
        arrays = np.load(beside)
        return {name[4:]: arrays[name] for name in arrays.files if name.startswith("in0/")}
    rng = np.random.default_rng(seed)
    feeds, named = {}, {}
    for port in runner.get_inputs():
        dtype = np.dtype(DTYPES[re.fullmatch(r"tensor\((\w+)\)", port.type).group(1)])
        shape = []
        for axis, size in enumerate(port.shape):
            if not isinstance(size, int) or size <= 0:
                picture = len(port.shape) == 4 and axis > 0 and not port.shape[axis] in (1, 3)
                guess = 1 if axis == 0 else 64 if picture else 4
                size = named.setdefault(size, guess) if isinstance(size, str) else guess
            shape.append(size)
        if dtype.kind == "b":
            feeds[port.name] = np.ones(shape, dtype)
        elif dtype.kind in "iu":
            feeds[port.name] = rng.integers(0, 200 if dtype == np.uint8 else 2, shape).astype(dtype)
        else:
            feeds[port.name] = rng.uniform(0, 1, shape).astype(dtype)
    return feeds


def difference(a, b):
    """The largest difference, as a part of the largest number; infinite where forms differ."""
    if isinstance(a, (list, tuple)) or isinstance(a, dict):
        pairs = list(zip(a, b)) if not isinstance(a, dict) else [(a[k], b.get(k)) for k in a]
        same_form = type(a) is type(b) and len(a) == len(b)
        return max([difference(x, y) for x, y in pairs], default=0.0) if same_form else np.inf
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.inf
    if a.dtype.kind not in "fc":
        return 0.0 if np.array_equal(a, b) else np.inf
    wild = ~np.isfinite(a)
    if not np.array_equal(a[wild], b[wild], equal_nan=True):
        return np.inf
    a, b = np.where(wild, 0, a).astype(np.float64), np.where(wild, 0, b).astype(np.float64)
    return float(np.max(np.abs(a - b), initial=0) / max(1e-6, np.max(np.abs(a), initial=0)))
