# SPDX-License-Identifier: Apache-2.0
"""TensorRT's own parser and ahead-of-time builder: a detector is refused as exported and accepted
after the two lines.

    python oracle_test.py RULEC SHARED [CACHE]

TensorRT for RTX comes from PyPI into a virtual environment in the cache; it needs no GPU here.
Exit status 77 (skipped, with a message) where it does not install or the models are not there.
"""
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

SKIPPED = 77
CARD = """Loop[body contains Gather] → preprocess(mean, std, NCHW)
NonMaxSuppression* → BatchedNMS_TRT
"""
OUTPUTS = "detection_boxes,detection_scores,detection_classes,num_detections"


def python_with_tensorrt(cache):
    """A Python that imports tensorrt_rtx and onnx; None and why where there is none."""
    own = Path(cache, "tensorrt-rtx")
    python = own / "bin" / "python"
    check = [python, "-c", "import tensorrt_rtx, onnx"]
    try:
        if python.exists() and subprocess.run(check, capture_output=True).returncode == 0:
            return python, ""
        venv.create(own, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet", "tensorrt-rtx", "onnx"]
        done = subprocess.run(install, capture_output=True, text=True, timeout=600)
        if done.returncode == 0:
            done = subprocess.run(check, capture_output=True, text=True)
        return (python, "") if done.returncode == 0 else (None, done.stderr.strip()[-300:])
    except (OSError, subprocess.SubprocessError) as error:
        return None, str(error)


def main():
    rulec, shared = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "rulec")
    cache = sys.argv[3] if len(sys.argv) > 3 else os.environ.get("RULEC_CACHE", default)
    model = shared / "models" / "tfod" / "ssd_mbv2_c90_op11.onnx"
    oracle = shared / "bench" / "trt_rtx_oracle.py"
    for needed in (model, oracle):
        if not needed.exists():
            if os.environ.get("CI"):
                print(f"{needed} is not there")
                return 1
            print(f"skipped: {needed} is not there")
            return SKIPPED
    python, why = python_with_tensorrt(cache)
    if not python:
        print(f"skipped: tensorrt-rtx does not install from PyPI here: {why}")
        return SKIPPED

    def judge(path):
        asked = [python, oracle, "--plugins", "--build", "SM120", path]
        done = subprocess.run(asked, capture_output=True, text=True)
        print(done.stdout, done.stderr[-2000:] if done.returncode else "", sep="")
        return done

    with tempfile.TemporaryDirectory() as work:
        rules, out = Path(work, "card.rules"), Path(work, "out.onnx")
        rules.write_text(CARD, encoding="utf-8")
        exported = judge(model)
        if exported.returncode == 0 or "REFUSED" not in exported.stdout:
            print("the model should be refused as it was exported")
            return 1
        subprocess.run([rulec, "rewrite", model, "-r", rules, "-o", out, "--input",
                        "input_tensor : f32[1,300,300,3]", "--outputs", OUTPUTS], check=True)
        rewritten = judge(out)
        if rewritten.returncode != 0:
            print("the rewritten model should be accepted")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
