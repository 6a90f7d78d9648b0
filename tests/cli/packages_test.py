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


def test_names_of_other_packages(tmp_path):
    """An alias and a package's name stand before its names; `_` names are for its own files."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/t.rules").write_text(
        "package acme.t 1.0.0\n"
        "template half() for (x : f32[...]) -> (y : f32[...]) { y = Mul(x, 0.5) }\n"
        "predicate flat(c) = _flat(c)\npredicate _flat(c) = rank(c) <= 2\n"
        "rule once: Neg(x : f32) -> half(x) where flat(x)\nrule _own: Exp(x) -> half(x)\n"
    )
    mine, model, out = tmp_path / "mine.rules", tmp_path / "m.onnxtxt", tmp_path / "o.onnxtxt"
    model.write_text(
        '<ir_version: 8, opset_import: ["" : 17]>\n'
        "main (float[2,3] x) => (float[2,3] y) { y = Neg(x) }\n"
    )
    here = ("--rule-path", tmp_path)
    for text in (
        "import acme.t as q\npipeline { q.once expect 1 }\n",
        "import acme.t as q\npipeline { q }\n",
        "import acme.t\npipeline { acme.t.once expect 1 }\n",
        "import ./acme/t.rules as q\npipeline { q.once expect 1 }\n",
        "import acme.t as q\nNeg(x) -> q.half(x)  where q.flat(x), acme.t.flat(x)  expect 1\n",
        "import acme.t as q\nNeg(x) -> Add(q.half(x), q.half(x))  expect 1\n",
    ):
        mine.write_text(text)
        good("check", *here, mine)
        good("rewrite", model, "-r", mine, *here, "-o", out)
        assert "Mul" in out.read_text(), text
    for text, told in (
        ("import acme.t\nNeg(x) -> Exp(x)  where _flat(x)\n", "for its own package"),
        ("import acme.t\npipeline { acme.t._own }\n", "is no rule"),
        ("import acme.t as q\nNeg(x) -> q.third(x)\n", "no function or template `q.third`"),
        ("import acme.t as q\npipeline { q.twice }\n", "`q.twice` is no rule"),
    ):
        mine.write_text(text)
        assert told in refused("check", *here, mine), text


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
    assert fires["fired"] == 1 and fires["near_misses"] == []  # not at what it made itself
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


def explained(tmp_path, model, rules, *flags):
    (tmp_path / "model.onnxtxt").write_text(
        '<ir_version: 8, opset_import: ["" : 17]>\n' + model
    )
    (tmp_path / "r.rules").write_text(rules)
    arguments = ("explain", tmp_path / "model.onnxtxt", "-r", tmp_path / "r.rules", *flags)
    out = json.loads(good(*arguments, "--json").stdout)
    text = good(*arguments).stdout
    assert "``" not in text
    good(*arguments, "--html", tmp_path / "e.html")
    return out, text, (tmp_path / "e.html").read_text()


def test_a_firing_tells_what_it_captured_computed_removed_and_added(tmp_path):
    (fold, drop), text, page = explained(
        tmp_path,
        "g (float[2,3] x) => (float[2,3] y) <float a = {2}, float b = {4}, float one = {1}>\n"
        "{ p = Mul(x, a) q = Mul(p, b) y = Mul(q, one) }",
        "rule fold: Mul(Mul(x, const a), const b) -> Mul(x, k)  where size(a) = 1, a > 1, b > 1\n"
        "  let k = a * b\n"
        "rule drop exact: Mul(x, exact 1.0) -> x\n",
    )
    (firing,) = fold["firings"]
    assert firing["captures"]["x"] == "x" and firing["computed"] == {"k": "8"}
    assert firing["removed"] == ['Mul → "q"', 'Mul → "p"'] and len(firing["added"]) == 1
    (empty,) = drop["firings"]
    assert empty["added"] == [] and empty["removed"] == ['Mul → "y"']
    assert "    removed  Mul → \"y\"\n    added    nothing\n" in text
    assert "    captured x = x\n" in text and "    computed k = 8\n" in text
    assert "<td>added</td><td><code>nothing</code></td>" in page and "k = 8" in page


def test_a_guard_tells_both_sides_and_where_inference_stopped(tmp_path):
    out, text, page = explained(
        tmp_path,
        "g (float[n,3] x) => (int64[m,2] y, float[n,3] z) <int64 one = {1}, float two = {2}>\n"
        "{ a = NonZero(x) b = Transpose<perm = [1, 0]>(a) y = Mul(b, one) z = Mul(x, two) }",
        "rule few: Mul(x : i64, c) -> x  where dim(x, 0) < 100\n"
        "rule narrow: Mul(x : f32, c) -> Neg(x)  where dim(x, 1) = 7\n"
        "rule tall: Mul(x : f32, c) -> Neg(x)  where dim(x, 0) > 7\n",
    )
    few, narrow, tall = (
        next(m["failed"]["found"] for m in one["near_misses"] if m["failed"]["kind"] == "guard")
        for one in out
    )
    assert few.startswith("unknown: dimension 0 of `b` is not known; shape inference stopped at")
    assert '`NonZero → "a"`: how much it gives depends on the data' in few
    assert narrow.startswith("`3 = 7` is false (x = x f32[n,3])")
    assert "the model's input `x` leaves the size `n` of axis 0 open (`--dim n=…` fixes it)" in tall
    assert few in text and "NonZero" in page


def test_a_fit_tells_its_residual(tmp_path):
    (out,), text, _ = explained(
        tmp_path,
        "g (float[2,4,4,3] x) => (float[n,4,4,3] y) <int64 count = {2}, bool go = {1}>\n"
        "{ y = Loop <body = b (int64 i, bool on) => (bool more, float[4,4,3] row)\n"
        "  { more = Identity(on) r = Gather<axis = 0>(x, i) row = Mul(r, r) }> (count, go) }",
        "rule pictures: Loop[body contains Gather(outer v, iteration)] -> preprocess(mean, std, NHWC)\n",
    )
    failed = out["near_misses"][0]["failed"]
    assert failed["kind"] == "fit" and "is off by" in failed["found"], failed
    assert "tolerance" in text


def test_a_name_that_is_nowhere_is_told(tmp_path, chain):
    (tmp_path / "r.rules").write_text("rule near: Mul(Relu(x), 3.0) -> x\n")
    arguments = ("explain", chain, "-r", tmp_path / "r.rules")
    assert "no node of this name" in refused(*arguments, "--at", "nosuch", code=1)
    assert "did you mean `near`?" in refused(*arguments, "--rule", "nea", code=1)


@pytest.mark.parametrize("result, fires", [("i64[...]", 0), ("f32[...]", 1)])
def test_outputs_that_a_scope_gives_pass_the_checker(tmp_path, result, fires):
    nodes = [
        helper.make_node("Relu", ["x"], ["h"], name="in/relu"),
        helper.make_node("Sigmoid", ["h"], ["y"], name="post/sigmoid"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "m.onnx",
    )
    (tmp_path / "r.rules").write_text(
        f"op com.acme::Find(v : f32[...]) -> (found : {result})\n"
        'rule r unsafe("the caller reads what is found"): scope "post/**" -> com.acme::Find(v)\n'
        '  let v = from scope "in/**"\n'
    )
    out, report = tmp_path / "out.onnx", tmp_path / "report.json"
    flags = ("-r", tmp_path / "r.rules", "--allow", "unsafe", "--report", report)
    good("rewrite", tmp_path / "m.onnx", *flags, "-o", out)
    onnx.checker.check_model(str(out))
    told = json.loads(report.read_text())
    assert len(told["firings"]) == fires
    if fires == 0:
        (miss,) = told["rules"][0]["near_misses"]
        assert "which ONNX's checker refuses as an output" in miss["found"]


def test_a_proof_tells_its_worst_element(tmp_path):
    rules = (
        "template near() for (v : f32[A, B]) -> (w : f32[A, B]) { w = Mul(Abs(v), 1.002) }\n"
        "rule r: Abs -> near()  tolerance 0.01\n"
    )
    model = (
        "g (float[2,3] x) => (float[2,3] y) <float ten = {10}>\n"
        "{ a = Abs(x) b = Mul(a, ten) y = %s(b) }"
    )
    (out,), _, _ = explained(tmp_path, model % "Exp", rules)
    failed = out["near_misses"][0]["failed"]
    assert failed["kind"] == "verify" and failed["expected"] == "`y` to differ by at most 0.01"
    assert failed["found"].startswith("at [") and "no element is worse" in failed["found"]
    assert " before and " in failed["found"] and "on a probe (" in failed["found"]

    (out,), text, page = explained(tmp_path, model % "Tanh", rules)
    proof = out["firings"][0]["verified"]
    assert 0 < proof["max_rel"] < 0.01 and proof["worst"].startswith("`y` at [")
    assert f"    worst    {proof['worst']}\n" in text and proof["worst"] in page


def test_expect_means_the_rule_of_the_files_asked_for(tmp_path, chain):
    (tmp_path / "r.rules").write_text(
        "rule mul_one: Mul(x, 2.0) -> Add(x, x)\npipeline { std.cleanup, mul_one }\n"
    )
    arguments = ("rewrite", chain, "-r", tmp_path / "r.rules", "--dry-run", "--expect")
    good(*arguments, "mul_one=1")
    assert "expected 2" in refused(*arguments, "mul_one=2")
    assert "did you mean `mul_one`?" in refused(*arguments, "mul_on=1")


def test_absent_pads_are_zeros(tmp_path):
    (out,), _, _ = explained(
        tmp_path,
        "g (float[1,2,5,5] x, float[2,2,3,3] w) => (float[1,2,3,3] y) { y = Conv(x, w) }",
        "rule r exact: Conv(x, w){pads = p, strides = [1, 1], ..a}\n"
        "  -> Conv(x, w){pads = p + 0, strides = [1, 1], ..a}  where all(p == 0), len(p) = 4\n",
    )
    assert out["fired"] == 1 and out["firings"][0]["captures"]["p"] == "[0, 0, 0, 0]"
