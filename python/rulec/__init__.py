# SPDX-License-Identifier: Apache-2.0
"""rulec from Python: rewrite ONNX models by rules, make engines of them, run those on arrays.

    import rulec
    result = rulec.rewrite("net.onnx", "card.rules", outputs=["boxes", "scores"])
    engine = rulec.Engine(rulec.build(result.model))
    boxes = engine.run({"image": image})["boxes"]

Engines run in this process, through librulec and its C interface. Rules are compiled and models
rewritten by the `rulec` command, whose flags the functions take as keywords. Both are looked for in
RULEC_LIBRARY and RULEC, then where `cmake --install` puts them.
"""

from .commands import (
    Diagnostic,
    RewriteResult,
    RulecError,
    build,
    check,
    explain,
    inspect,
    rewrite,
    verify,
)
from .engine import Engine, EngineError, Port

__all__ = [
    "Diagnostic",
    "Engine",
    "EngineError",
    "Port",
    "RewriteResult",
    "RulecError",
    "build",
    "check",
    "explain",
    "inspect",
    "rewrite",
    "verify",
]
__version__ = "0.1.0"
