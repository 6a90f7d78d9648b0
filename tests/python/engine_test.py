# SPDX-License-Identifier: Apache-2.0
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import rulec


def model_of(nodes, inputs, outputs):
    infos = [
        [helper.make_tensor_value_info(name, dtype, shape) for name, dtype, shape in ports]
        for ports in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "g", *infos)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture(scope="module")
def engine():
    node = helper.make_node("Add", ["a", "b"], ["sum"])
    ports = [(name, TensorProto.FLOAT, ["N", 4]) for name in ("a", "b", "sum")]
    return rulec.Engine(rulec.build(model_of([node], ports[:2], ports[2:])))


def test_ports(engine):
    assert [(port.name, port.shape) for port in engine.inputs] == [("a", (None, 4)), ("b", (None, 4))]
    assert engine.outputs[0].dtype == np.float32
    assert "sum" in repr(engine)


@pytest.mark.parametrize("rows", [1, 3, 0, 7])
def test_runs_on_arrays(engine, rows):
    a, b = np.random.default_rng(0).standard_normal((2, rows, 4), np.float32)
    np.testing.assert_array_equal(engine.run({"a": a, "b": b})["sum"], a + b)
    np.testing.assert_array_equal(engine.run([a, b])["sum"], a + b)
    backwards = engine.run({"a": a[::-1], "b": b})["sum"]
    np.testing.assert_array_equal(backwards, a[::-1] + b)


def test_threads_share_an_engine(engine):
    wrong = []

    def work(number):
        a = np.full((5, 4), number, np.float32)
        wrong.extend(1 for _ in range(50) if not (engine.run([a, a])["sum"] == 2 * number).all())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_refusals(engine, tmp_path):
    a = np.zeros((1, 4), np.float32)
    with pytest.raises(rulec.EngineError, match="'b' .* is missing"):
        engine.run({"a": a})
    with pytest.raises(rulec.EngineError, match="no input 'c'"):
        engine.run({"a": a, "b": a, "c": a})
    with pytest.raises(rulec.EngineError, match="float64"):
        engine.run([a.astype(np.float64), a])
    with pytest.raises(rulec.EngineError, match="f32\\[1,5\\]"):
        engine.run([np.zeros((1, 5), np.float32), a])
    (tmp_path / "text.engine").write_text("not an engine")
    with pytest.raises(rulec.EngineError, match="not an engine file"):
        rulec.Engine(tmp_path / "text.engine")


def test_strings():
    node = helper.make_node("Identity", ["x"], ["y"])
    ports = [(name, TensorProto.STRING, [2, 1]) for name in "xy"]
    engine = rulec.Engine(rulec.build(model_of([node], ports[:1], ports[1:])))
    texts = np.array([["é"], [""]], object)
    assert (engine.run([texts])["y"] == texts).all()
