# SPDX-License-Identifier: Apache-2.0
"""The command's promises to scripts (docs/rulec.md): exit codes, JSON keys, messages, whole files.

    RULEC=build/dev/rulec pytest tests/cli
"""

import json
import os
import pathlib
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

RULEC = os.environ["RULEC"]
SHAPES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "shapes"


def rulec(*arguments, cwd=None, env=None):
    """Runs the command; whatever happens, it ends by exit code 0 to 2 and says nothing odd."""
    result = subprocess.run(
        [RULEC, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=300,
        env={**os.environ, **(env or {})},
    )
    assert result.returncode in (0, 1, 2), (arguments, result)
    assert "\x1b" not in result.stdout + result.stderr, "colour in a pipe"
    assert result.returncode == 0 or result.stderr, "it fails in silence"
    return result


def refused(*arguments, code=1, **options):
    result = rulec(*arguments, **options)
    assert result.returncode == code, (arguments, result)
    return result.stderr


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Small models: mlp (x f32[N,4] -> y, z), its double, a wrong double, one of sequences."""
    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(0)
    weights = numpy_helper.from_array(random.standard_normal((4, 3), np.float32), "w")

    def mlp(scale):
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["h"], name="product"),
            helper.make_node("Relu", ["h"], ["y/out:0"], name="relu"),
            helper.make_node("Mul", ["h", "k"], ["z"], name="scale"),
        ]
        graph = helper.make_graph(
            nodes,
            "mlp",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
            [
                helper.make_tensor_value_info("y/out:0", TensorProto.FLOAT, ["N", 3]),
                helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 3]),
            ],
            [weights, numpy_helper.from_array(np.float32(scale), "k")],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    onnx.save(mlp(2), folder / "mlp.onnx")
    onnx.save(mlp(2), folder / "same.onnx")
    onnx.save(mlp(3), folder / "other.onnx")
    graph = helper.make_graph(
        [
            helper.make_node("SequenceConstruct", ["a", "b"], ["s"]),
            helper.make_node("Cast", ["a"], ["half"], to=TensorProto.BFLOAT16),
        ],
        "sequences",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "ab"],
        [
            helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("half", TensorProto.BFLOAT16, [2]),
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        folder / "sequences.onnx",
    )
    (folder / "truncated.onnx").write_bytes((folder / "mlp.onnx").read_bytes()[:-40])
    (folder / "garbage.onnx").write_bytes(bytes(range(256)) * 8)
    (folder / "empty.onnx").write_bytes(b"")
    np.save(folder / "x.npy", np.arange(8, dtype=np.float32).reshape(2, 4))
    return folder


def test_help_and_version():
    assert "rewrite" in rulec("--help").stdout
    assert "--outputs" in rulec("help", "rewrite").stdout
    assert "--outputs" in rulec("rewrite", "--help").stdout
    version = json.loads(rulec("version", "--json").stdout)
    assert {"rulec", "isa", "opset", "targets"} <= version.keys()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["run"],
        ["run", "m.onnx", "--no-such-flag"],
        ["run", "m.onnx", "--format", "xml"],
        ["bench", "m.onnx", "--iters", "none"],
        ["rewrite", "m.onnx", "-r", "r.rules"],
        ["verify", "a.onnx"],
        ["build", "m.onnx"],
        ["verify", "a.onnx", "b.onnx", "--trials", "0"],
    ],
)
def test_wrong_command_lines(arguments):
    assert rulec(*arguments).returncode == 2


def test_a_misspelt_command_gets_a_hint():
    assert "`verify`" in refused("verfy", "a", "b", code=2)


@pytest.mark.parametrize("command", ["inspect", "run", "bench"])
@pytest.mark.parametrize("file", ["missing.onnx", "truncated.onnx", "garbage.onnx", "empty.onnx"])
def test_bad_models(models, command, file):
    message = refused(command, models / file)
    assert file in message


def test_bad_models_for_verify_and_build(models, tmp_path):
    assert "missing.onnx" in refused("verify", models / "mlp.onnx", models / "missing.onnx")
    assert "garbage.onnx" in refused("build", models / "garbage.onnx", "-o", tmp_path / "o.engine")
    assert not (tmp_path / "o.engine").exists()


def test_inspect(models):
    told = json.loads(rulec("inspect", models / "mlp.onnx", "--json").stdout)
    assert told["kind"] == "model"
    assert told["opset"] == 13
    assert told["nodes"] == 3
    assert told["ops"] == {"MatMul": 1, "Mul": 1, "Relu": 1}
    assert told["parameters"] == 13
    assert told["inputs"] == [{"name": "x", "dtype": "f32", "shape": ["N", 4]}]
    assert [output["name"] for output in told["outputs"]] == ["y/out:0", "z"]
    assert "gflop" in told
    assert "relu" in rulec("inspect", models / "mlp.onnx", "--ops").stdout


@pytest.mark.parametrize("reference", [[], ["--reference"]])
def test_run_writes_outputs_and_a_manifest(models, tmp_path, reference):
    out = tmp_path / "out"
    rulec("run", models / "mlp.onnx", "--input", f"x={models / 'x.npy'}", "-o", out, *reference)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest == [
        {"name": "y/out:0", "file": "y_out_0.npy", "dtype": "f32", "shape": [2, 3]},
        {"name": "z", "file": "z.npy", "dtype": "f32", "shape": [2, 3]},
    ]
    weights = numpy_helper.to_array(onnx.load(models / "mlp.onnx").graph.initializer[0])
    hidden = np.load(models / "x.npy") @ weights
    np.testing.assert_allclose(np.load(out / "y_out_0.npy"), np.maximum(hidden, 0), rtol=1e-5)
    np.testing.assert_allclose(np.load(out / "z.npy"), 2 * hidden, rtol=1e-5)


def test_run_as_pb(models, tmp_path):
    rulec("run", models / "mlp.onnx", "--input", models / "x.npy", "-o", tmp_path, "--format", "pb", "--reference")
    tensor = TensorProto.FromString((tmp_path / "output_1.pb").read_bytes())
    assert tensor.name == "z"
    assert numpy_helper.to_array(tensor).shape == (2, 3)
    # … and a .pb is an input, too.
    given = numpy_helper.from_array(np.load(models / "x.npy"), "x")
    (tmp_path / "x.pb").write_bytes(given.SerializeToString())
    told = rulec("run", models / "mlp.onnx", "--input", f"x={tmp_path / 'x.pb'}", "--reference", "--json")
    assert json.loads(told.stdout)[1]["shape"] == [2, 3]


def test_what_numpy_lacks_becomes_pb(models, tmp_path):
    np.savez_compressed(tmp_path / "in.npz", a=np.float32([1, 2]), b=np.float32([3, 4]))
    rulec("run", models / "sequences.onnx", "--input", tmp_path / "in.npz", "-o", tmp_path / "out", "--reference")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [entry["file"] for entry in manifest] == ["s.pb", "half.pb"]
    assert [entry["dtype"] for entry in manifest] == ["seq(f32)", "bf16"]
    sequence = onnx.SequenceProto.FromString((tmp_path / "out" / "s.pb").read_bytes())
    values = [numpy_helper.to_array(tensor).tolist() for tensor in sequence.tensor_values]
    assert values == [[1, 2], [3, 4]]
    half = TensorProto.FromString((tmp_path / "out" / "half.pb").read_bytes())
    assert half.data_type == TensorProto.BFLOAT16


def test_missing_inputs_are_named_or_made_up(models):
    message = refused("run", models / "mlp.onnx", "--reference")
    assert "`x` f32[N,4]" in message and "--seed" in message
    told = rulec("run", models / "mlp.onnx", "--reference", "--seed", "7")
    assert told.returncode == 0 and "z" in told.stdout
    assert told.stdout == rulec("run", models / "mlp.onnx", "--reference", "--seed", "7").stdout


def test_wrong_inputs(models, tmp_path):
    run = ["run", models / "mlp.onnx", "--reference", "--input"]
    np.save(tmp_path / "shape.npy", np.zeros((2, 5), np.float32))
    assert "f32[N,4]" in refused(*run, f"x={tmp_path / 'shape.npy'}")
    np.save(tmp_path / "dtype.npy", np.zeros((2, 4)))
    assert "astype('f4')" in refused(*run, f"x={tmp_path / 'dtype.npy'}")
    (tmp_path / "broken.npy").write_bytes((models / "x.npy").read_bytes()[:-4])
    assert "broken.npy" in refused(*run, f"x={tmp_path / 'broken.npy'}")
    assert "nothing.npy" in refused(*run, f"x={tmp_path / 'nothing.npy'}")
    assert "there is no input `y`" in refused(*run, f"y={models / 'x.npy'}")
    (tmp_path / "x.txt").write_text("1 2 3")
    assert ".npy" in refused(*run, f"x={tmp_path / 'x.txt'}")
    np.save(tmp_path / "object.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    assert "Python objects" in refused(*run, f"x={tmp_path / 'object.npy'}")
    (tmp_path / "no.png").write_bytes(b"no picture")
    assert "neither a PNG nor a JPEG" in refused(*run, f"x={tmp_path / 'no.png'}")


def test_verify(models):
    told = rulec("verify", models / "mlp.onnx", models / "same.onnx", "--json")
    assert told.returncode == 0
    verdict = json.loads(told.stdout)
    assert verdict["ok"] is True and verdict["first_divergence"] is None and verdict["seed"] == 0
    assert {"name", "max_abs", "max_rel", "rel_l2", "cosine"} <= verdict["outputs"][0].keys()

    told = rulec("verify", models / "mlp.onnx", models / "other.onnx", "--json")
    assert told.returncode == 1
    verdict = json.loads(told.stdout)
    assert verdict["ok"] is False and verdict["first_divergence"] == "z"
    assert [output["ok"] for output in verdict["outputs"]] == [True, False]
    assert "nothing to compare" in refused("verify", models / "mlp.onnx", SHAPES / "shapes.onnx")


def test_verify_on_given_inputs(models):
    assert rulec("verify", models / "mlp.onnx", models / "same.onnx", "--inputs", models).returncode == 0
    assert "neither a folder" in refused(
        "verify", models / "mlp.onnx", models / "same.onnx", "--inputs", models / "nothing"
    )


def test_build_run_and_bench(models, tmp_path):
    engine = tmp_path / "mlp.engine"
    told = rulec("build", models / "mlp.onnx", "-o", engine, "--json")
    assert told.returncode == 0, told
    assert {"operations", "built", "firings"} <= json.loads(told.stdout).keys()
    facts = json.loads(rulec("inspect", engine, "--json").stdout)
    assert facts["kind"] == "engine" and facts["inputs"][0]["name"] == "x"
    assert rulec("verify", models / "mlp.onnx", engine).returncode == 0
    told = rulec("bench", engine, "--warmup", "2", "--iters", "20", "--json", "--profile")
    figures = json.loads(told.stdout)
    keys = """engine isa threads batch warmup iterations load_ms first_inference_ms ms images_per_second gflop gflops
        peak_share arena_bytes weight_bytes rss_anon_bytes rss_file_bytes rss_peak_bytes ops""".split()
    assert set(keys) <= figures.keys()
    assert {"p50", "p90", "p99", "min", "max", "mean", "stddev"} == figures["ms"].keys()
    lines = rulec("bench", engine, "--warmup", "0", "--iters", "100", "--report-every", "50").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["50", "100"]
    both = json.loads(rulec("bench", engine, engine, "--warmup", "1", "--iters", "40", "--json").stdout)
    assert len(both["engines"]) == 2 and both["comparison"]["low"] <= both["comparison"]["ratio"]
    # Damage and truncation are told apart and never run.
    data = engine.read_bytes()
    for name, bad in {"cut": data[:-100], "damaged": data[:5000] + b"\xff" + data[5001:]}.items():
        (tmp_path / f"{name}.engine").write_bytes(bad)
    refused("run", tmp_path / "cut.engine", "--seed", "0")
    rulec("run", tmp_path / "damaged.engine", "--seed", "0")


def test_an_existing_file_survives_a_failure(models, tmp_path):
    engine = tmp_path / "old.engine"
    engine.write_bytes(b"precious")
    refused("build", models / "garbage.onnx", "-o", engine)
    refused("rewrite", models / "garbage.onnx", "-r", SHAPES / "card.rules", "-o", engine)
    (tmp_path / "broken.rules").write_text("Relu(x →")
    refused("rewrite", models / "mlp.onnx", "-r", tmp_path / "broken.rules", "-o", engine)
    assert engine.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.rules", "old.engine"]
    message = refused("build", models / "mlp.onnx", "-o", tmp_path / "no" / "folder" / "x.engine")
    assert "x.engine" in message


def test_rules_at_fault(models, tmp_path):
    assert "missing.rules" in refused("check", tmp_path / "missing.rules")
    (tmp_path / "typo.rules").write_text("Rellu(x) → x\n")
    assert "Relu" in refused("rewrite", models / "mlp.onnx", "-r", tmp_path / "typo.rules", "-o", tmp_path / "o.onnx")
    assert not (tmp_path / "o.onnx").exists()


def test_no_colour_when_asked_for_none(models):
    rulec("check", "no-such.rules", env={"NO_COLOR": "1", "TERM": "xterm-256color"})


def test_boxes_are_drawn(tmp_path):
    picture = SHAPES / "pictures" / "1000003.png"
    told = rulec(
        "run", SHAPES / "shapes.onnx", "--input", picture, "--draw", "boxes", "--labels", SHAPES / "labels.txt", "-o", tmp_path
    )
    assert told.returncode == 0, told
    assert (tmp_path / "1000003.detections.png").read_bytes().startswith(b"\x89PNG")
    assert "%" in told.stdout
    message = refused("run", SHAPES / "shapes.onnx", "--input", picture, "--draw", "boxes", "--labels", tmp_path / "none")
    assert "none" in message


def test_who_reads_the_output_may_stop():
    """`rulec fmt < FILE | head -1` is no bug of ours."""
    text = "".join(f"rule r{i}: Relu(Relu(x)) -> Relu(x)\n" for i in range(4000))
    process = subprocess.Popen(
        [RULEC, "fmt"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    _, complaints = process.communicate(text, timeout=60)
    assert "bug" not in complaints
    assert process.returncode in (0, 1)
