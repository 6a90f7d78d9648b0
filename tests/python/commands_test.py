# SPDX-License-Identifier: Apache-2.0
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import rulec

pytest_plugins = ["pytester"]
RULE = "Relu(Relu(x)) -> Relu(x)\n"


@pytest.fixture
def model():
    nodes = [helper.make_node("Relu", ["x"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "xy")
    graph = helper.make_graph(nodes, "twice", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_rewrites_what_it_is_given(model, tmp_path):
    result = rulec.rewrite(model, RULE)
    assert [node.op_type for node in result.model.graph.node] == ["Relu"]
    assert list(result.fired.values()) == [1]
    assert "2 nodes, now 1" in result._repr_html_()
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    assert onnx.load_from_string(rulec.rewrite(path, RULE).model) == result.model
    assert onnx.load_from_string(rulec.rewrite(path.read_bytes(), [RULE]).model) == result.model


def test_flags_and_params(model):
    result = rulec.rewrite(model, RULE, dims={"N": 3})
    assert result.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 3
    with pytest.raises(rulec.RulecError, match="param") as error:
        rulec.rewrite(model, RULE, no_such=1)
    assert error.value.code == 2


def test_errors_have_the_fields_of_diagnostics(model):
    with pytest.raises(rulec.RulecError, match="Rellu") as error:
        rulec.rewrite(model, "Rellu(x) -> Relu(x)\n")
    (wrong,) = error.value.diagnostics
    assert (wrong.line, wrong.column, wrong.kind) == (1, 1, "unknown-operator")
    assert wrong.suggestion == "Relu"
    with pytest.raises(rulec.RulecError, match="no/such.onnx"):
        rulec.rewrite("no/such.onnx", RULE)


def test_check(model):
    assert rulec.check(RULE) == []
    assert "Rellu" in str(rulec.check("Rellu(x) -> Relu(x)\n")[0])
    with pytest.raises(rulec.RulecError):
        rulec.check("no_such.rules")


def test_verify_inspect_and_explain(model):
    assert rulec.verify(model, rulec.rewrite(model, RULE).model)["ok"]
    assert rulec.inspect(model)["ops"] == {"Relu": 2}
    assert rulec.explain(model, RULE)


def test_tests_of_rule_files_are_collected(pytester):
    pytester.makefile(".rules", own=(
        "rule twice: Relu(Relu(x)) -> Relu(x)\n"
        'test "twice is once" for twice {\n'
        "  before  y = Relu(Relu(x : f32[2]))\n  after   y = Relu(x)\n}\n"
    ))  # fmt: skip
    result = pytester.runpytest("-p", "rulec.pytest_plugin")
    result.assert_outcomes(passed=1)
