# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX's node tests, as the PyPI package onnx holds them, below a folder.

    python3 make_cases.py FOLDER     ->  FOLDER/node/test_*/{model.onnx,test_data_set_0/*.pb}

The layout is that of ONNX's own repository (onnx/backend/test/data).
"""
import pathlib
import sys

import numpy as np
import onnx
import onnx.backend.test.case.node as cases
from onnx import numpy_helper


def proto(value, kind):
    """The message that holds one test value: a tensor, a sequence or an optional."""
    if isinstance(value, (onnx.TensorProto, onnx.SequenceProto, onnx.OptionalProto)):
        return value
    if kind == "sequence_type":
        return numpy_helper.from_list(value)
    if kind == "optional_type":
        return numpy_helper.from_optional(value)
    return numpy_helper.from_array(np.asarray(value))


def write(folder, case):
    """One case: its model and its data sets."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    graph = case.model.graph
    for index, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{index}"
        data.mkdir(exist_ok=True)
        for stem, values, declared in (("input", inputs, graph.input),
                                       ("output", outputs, graph.output)):
            for i, (value, info) in enumerate(zip(values, declared)):
                message = proto(value, info.type.WhichOneof("value"))
                (data / f"{stem}_{i}.pb").write_bytes(message.SerializeToString())


def main():
    root = pathlib.Path(sys.argv[1]) / "node"
    for case in cases.collect_testcases(None):
        write(root / case.name, case)


if __name__ == "__main__":
    main()
