# SPDX-License-Identifier: Apache-2.0
"""Packages, generated tests, explain, bisect and reports, from outside.

    RULEC=build/dev/rulec pytest tests/cli
"""

import json
import subprocess

import numpy as np
import onnx
import pytest
from cli_test import refused, rulec
from onnx import TensorProto, helper, numpy_helper

RELU = "package acme.detect.one 0.1.0\nrule twice exact: Relu(Relu(x)) -> Relu(x)\n"


def good(*arguments, **options):
    result = rulec(*arguments, **options)
    assert result.returncode == 0, (arguments, result)
    return result


@pytest.fixture
def acme(tmp_path):
    """The package acme.detect, and a project that needs it."""
    good("pkg", "init", tmp_path / "acme", "--name", "acme.detect")
    manifest = tmp_path / "acme/rules.toml"
    manifest.write_text(manifest.read_text().replace('license = ""', 'license = "MIT"'))
    (tmp_path / "acme/one.rules").write_text(RELU)
    good("pkg", "init", tmp_path / "team")
    (tmp_path / "team/main.rules").write_text(
        "import acme.detect.one\npipeline { acme.detect.one }\n"
    )
    return tmp_path


@pytest.fixture
def chain(tmp_path):
    """x → Relu → Relu → Mul by 2 → y; nodes have no names."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Mul", ["b", "k"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [numpy_helper.from_array(np.array(2, np.float32), "k")],
    )
    path = tmp_path / "chain.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


def test_add_lock_and_load(acme):
    good("pkg", "add", acme / "acme", "--folder", acme / "team")
    lock = (acme / "team/rules.lock").read_text()
    assert 'name = "acme.detect"' in lock and "sha256:" in lock
    good("check", acme / "team/main.rules")
    good("pkg", "lock", "--check", "--folder", acme / "team")

    (acme / "acme/one.rules").write_text(RELU + "# changed\n")
    assert "is not what" in refused("check", acme / "team/main.rules")
    refused("pkg", "lock", "--check", "--folder", acme / "team")
    good("pkg", "lock", "--folder", acme / "team")
    good("check", acme / "team/main.rules")


def test_vendored_packages_need_nothing_else(acme):
    good("pkg", "add", acme / "acme", "--folder", acme / "team")
    good("pkg", "vendor", "--folder", acme / "team")
    assert (acme / "team/vendor/acme/detect/one.rules").read_text() == RELU
    (acme / "acme/one.rules").unlink()
    good("check", acme / "team/main.rules")


def test_git(acme):
    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
            cwd=acme / "acme",
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    git("tag", "v1")
    env = {"RULEC_CACHE": str(acme / "cache")}
    url = (acme / "acme").as_uri()
    good("pkg", "add", url, "--rev", "v1", "--folder", acme / "team", env=env)
    (acme / "acme/one.rules").write_text("broken(")
    good("check", acme / "team/main.rules", env=env)
    message = refused(
        "check", acme / "team/main.rules", env={"RULEC_CACHE": str(acme / "elsewhere")}
    )
    assert "rulec pkg lock" in message
    message = refused(
        "pkg", "add", url, "--rev", "v9", "--folder", acme / "team", env=env
    )
    assert "no revision `v9`" in message


def test_publish_keeps_promises(acme):
    index = acme / "index/index.toml"
    good("pkg", "publish", index, "--folder", acme / "acme")
    good("pkg", "add", index, "acme.detect", "--folder", acme / "team")
    good("check", acme / "team/main.rules")
    manifest = acme / "acme/rules.toml"
    (acme / "acme/one.rules").write_text(RELU.replace("twice", "two"))
    assert "new version" in refused("pkg", "publish", index, "--folder", acme / "acme")
    manifest.write_text(manifest.read_text().replace('"0.1.0"', '"0.2.0"', 1))
    assert "major version" in refused("pkg", "publish", index, "--folder", acme / "acme")
    manifest.write_text(manifest.read_text().replace('"0.2.0"', '"1.0.0"', 1))
    good("pkg", "publish", index, "--folder", acme / "acme")
    # What was pinned stays.
    assert 'version = "0.1.0"' in (acme / "team/rules.lock").read_text()


def test_diff(acme):
    (acme / "old.rules").write_text(
        "package p 1.0.0\n"
        "rule gone exact: Neg(Neg(x)) -> x\n"
        "rule named exact: Abs(Abs(x)) -> Abs(x)\n"
        "rule wide exact: Relu(Relu(x)) -> Relu(x)\n"
        'test "two" for wide { before y = Relu(Relu(x : f32[2]))  after y = Relu(x) }\n'
    )
    (acme / "new.rules").write_text(
        "package p 2.0.0\n"
        "rule other_name exact: Abs(Abs(x)) -> Abs(x)\n"
        "rule wide exact: Relu(Relu(x) | Abs(x)) -> Relu(x)\n"
        "rule added exact: Floor(Floor(x)) -> Floor(x)\n"
        'test "three" for wide { before y = Relu(Abs(x : f32[2]))  unchanged }\n'
    )
    out = json.loads(good("pkg", "diff", acme / "old.rules", acme / "new.rules", "--json").stdout)
    changes = {change["rule"]: change["change"] for change in out["changes"]}
    assert changes == {
        "p.gone": "removed",
        "p.other_name": "renamed",
        "p.added": "added",
        "p.wide": "widened",
    }


def test_generated_tests_find_a_wrong_rule(tmp_path):
    (tmp_path / "wrong.rules").write_text("rule wrong: Sub(a, b) -> Sub(b, a)\n")
    result = rulec("test", tmp_path / "wrong.rules", "--json")
    assert result.returncode == 1
    (found,) = json.loads(result.stdout)["generated"]
    assert not found["passed"] and found["graph"]
    good("test", tmp_path / "wrong.rules", "--instances", "0")


def test_explain_ranks_misses_and_names_nodes(tmp_path, chain):
    (tmp_path / "r.rules").write_text(
        "rule near: Mul(Relu(Relu(x)), 3.0) -> x\nrule fires exact: Relu(Relu(x)) -> Relu(x)\n"
    )
    out = json.loads(good("explain", chain, "-r", tmp_path / "r.rules", "--json").stdout)
    near, fires = out
    assert near["fired"] == 0
    scores = [miss["score"] for miss in near["near_misses"]]
    assert scores == sorted(scores, reverse=True)
    first = near["near_misses"][0]
    assert first["root"] == 'Mul → "y"' and first["failed"]["kind"]
    assert all(part["pattern_span"]["line"] == 1 for part in first["matched"])
    assert fires["fired"] == 1 and fires["near_misses"] == []
    (firing,) = fires["firings"]
    assert firing["removed"] == ['Relu → "b"', 'Relu → "a"'] and firing["captures"] == {"x": "x"}

    text = good("explain", chain, "-r", tmp_path / "r.rules", "--rule", "near").stdout
    assert "near miss 1" in text and "expected" in text and "``" not in text
    good("explain", chain, "-r", tmp_path / "r.rules", "--html", tmp_path / "why.html")
    page = (tmp_path / "why.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and "http" not in page and "near miss" in page


def test_explain_takes_the_rule_of_the_files_asked_for(tmp_path, chain):
    (tmp_path / "r.rules").write_text(
        "rule identity_none exact: Relu(Relu(x)) -> Relu(x)  priority 1\n"
        "pipeline { identity_none, std.cleanup }\n"
    )
    out = json.loads(
        good("explain", chain, "-r", tmp_path / "r.rules", "--rule", "identity_none", "--json").stdout
    )
    assert out["fired"] == 1


def test_rewrite_page(tmp_path, chain):
    (tmp_path / "r.rules").write_text("rule fires exact: Relu(Relu(x)) -> Relu(x)\n")
    good("rewrite", chain, "-r", tmp_path / "r.rules", "--dry-run", "--html", tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text()
    assert "<svg" in page and "http" not in page and "fires" in page


def test_bisect_names_the_guilty_firing(tmp_path, chain):
    rules = tmp_path / "r.rules"
    rules.write_text(
        "rule fine exact: Relu(Relu(x)) -> Relu(x)\nrule wrong: Mul(x, 2.0) -> Abs(Abs(x))\n"
    )
    out = tmp_path / "out.onnx"
    good("rewrite", chain, "-r", rules, "-o", out)
    result = rulec("verify", chain, out, "--bisect", "-r", rules, "--json")
    assert result.returncode == 1
    guilty = json.loads(result.stdout)["guilty"]
    assert guilty["rule"] == "wrong" and guilty["of"] == 2
    assert guilty["root"] == 'Mul → "y"'
    repro = onnx.load(guilty["repro"])
    assert [node.op_type for node in repro.graph.node] == ["Mul"]
    assert "is to blame" in result.stderr
    assert "--bisect needs the rules" in refused("verify", chain, out, "--bisect", code=2)


def test_doc_is_a_page_of_rules(tmp_path):
    (tmp_path / "r.rules").write_text("package p 1.0.0\n## a | b\nrule r exact: Relu(Relu(x)) -> Relu(x)\n")
    page = good("doc", tmp_path / "r.rules").stdout
    assert "| `r` | a \\| b | exact | any opset | 0 |" in page
    good("doc", tmp_path / "r.rules", "-o", tmp_path / "r.md")
    good("doc", tmp_path / "r.rules", "-o", tmp_path / "r.md", "--check")
    (tmp_path / "r.md").write_text("old")
    refused("doc", tmp_path / "r.rules", "-o", tmp_path / "r.md", "--check")
