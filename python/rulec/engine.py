# SPDX-License-Identifier: Apache-2.0
"""Engines, run in this process through librulec (runtime/rulec.h is its interface)."""

from __future__ import annotations

import ctypes
import ctypes.util
import dataclasses
import functools
import os
import pathlib
import shutil
from typing import Mapping, Sequence, Union

import numpy as np

MAX_RANK = 16

# The numbers are ONNX's. What numpy lacks comes from ml_dtypes where that is installed.
_NUMPY = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
          9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64",
          15: "complex128"}  # fmt: skip
_EXTRA = {16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2",
          20: "float8_e5m2fnuz", 24: "float8_e8m0fnu"}  # fmt: skip
_STRING = 8


class EngineError(Exception):
    """An engine could not be loaded or run."""


class _Port(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_char_p),
        ("is_tensor", ctypes.c_int),
        ("has_default", ctypes.c_int),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int),
        ("dims", ctypes.c_int64 * MAX_RANK),
    ]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int),
        ("dims", ctypes.c_int64 * MAX_RANK),
        ("data", ctypes.c_void_p),
        ("bytes", ctypes.c_size_t),
    ]


class _Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("threads", ctypes.c_int),
        ("verify_weights", ctypes.c_int),
    ]


@functools.lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    places = [os.environ.get("RULEC_LIBRARY")]
    command = os.environ.get("RULEC") or shutil.which("rulec")
    if command:
        places += map(str, pathlib.Path(command).resolve().parent.glob("../lib*/**/librulec.so.0"))
    places.append(ctypes.util.find_library("rulec"))
    for place in filter(None, places):
        library = ctypes.CDLL(place)
        break
    else:
        raise EngineError("librulec is not installed; install rulec, or set RULEC_LIBRARY to it")
    library.rulec_last_error.restype = ctypes.c_char_p
    for function in (library.rulec_engine_input_count, library.rulec_engine_output_count):
        function.restype = ctypes.c_size_t
        function.argtypes = [ctypes.c_void_p]
    for function in (library.rulec_engine_input, library.rulec_engine_output):
        function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(_Port)]
    options, out = ctypes.POINTER(_Options), ctypes.POINTER(ctypes.c_void_p)
    library.rulec_engine_load.argtypes = [ctypes.c_char_p, options, out]
    library.rulec_engine_load_memory.argtypes = [ctypes.c_char_p, ctypes.c_size_t, options, out]
    library.rulec_engine_free.argtypes = [ctypes.c_void_p]
    tensors = ctypes.POINTER(_Tensor)
    library.rulec_engine_run.argtypes = [
        ctypes.c_void_p, tensors, ctypes.c_size_t, tensors, ctypes.c_size_t]  # fmt: skip
    return library


_BUFFER_TOO_SMALL = 3


def _check(status: int) -> None:
    if status != 0:
        raise EngineError(_library().rulec_last_error().decode(errors="replace"))


def _numpy_dtype(number: int) -> np.dtype:
    if number in _NUMPY:
        return np.dtype(_NUMPY[number])
    if number in _EXTRA:
        try:
            import ml_dtypes
        except ImportError:
            raise EngineError(f"{_EXTRA[number]} arrays need the package ml_dtypes") from None
        return np.dtype(getattr(ml_dtypes, _EXTRA[number]))
    raise EngineError(f"numpy has no arrays of ONNX's element type {number}; use `rulec run`")


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or output. Unknown sizes are None, as is the shape of an unknown rank."""

    name: str
    type: str
    shape: tuple[int | None, ...] | None
    has_default: bool
    dtype_number: int

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(object) if self.dtype_number == _STRING else _numpy_dtype(self.dtype_number)


Inputs = Union[Mapping[str, np.ndarray], Sequence[np.ndarray], np.ndarray]


class Engine:
    """A loaded engine. Threads may share one: each run has its own memory, without the GIL.

    engine = Engine("net.engine", threads=2)
    outputs = engine.run({"image": image})
    """

    def __init__(self, source: str | os.PathLike | bytes, *, threads: int = 1,
                 verify_weights: bool = False):
        self._handle = ctypes.c_void_p()
        library = _library()
        options = _Options(ctypes.sizeof(_Options), threads, int(verify_weights))
        if isinstance(source, bytes):
            _check(library.rulec_engine_load_memory(
                source, len(source), ctypes.byref(options), ctypes.byref(self._handle)))  # fmt: skip
        else:
            _check(library.rulec_engine_load(
                os.fsencode(source), ctypes.byref(options), ctypes.byref(self._handle)))  # fmt: skip
        self.inputs = self._ports(library.rulec_engine_input_count, library.rulec_engine_input)
        self.outputs = self._ports(library.rulec_engine_output_count, library.rulec_engine_output)
        self._room = [0] * len(self.outputs)  # bytes that the outputs took last time

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            _library().rulec_engine_free(self._handle)

    def __repr__(self) -> str:
        ports = [", ".join(f"{p.name}: {p.type}" for p in ports)
                 for ports in (self.inputs, self.outputs)]  # fmt: skip
        return f"Engine({ports[0]} -> {ports[1]})"

    def run(self, inputs: Inputs) -> dict[str, np.ndarray]:
        """Arrays by name, or in the engine's order; an input with a default may be left out."""
        given = self._named(inputs)
        keep: list[object] = []  # what the tensors point into
        tensors = (_Tensor * max(len(self.inputs), 1))()
        for tensor, port in zip(tensors, self.inputs):
            if port.name in given:
                self._fill(tensor, port, given.pop(port.name), keep)
            elif not port.has_default:
                raise EngineError(f"input '{port.name}' ({port.type}) is missing")
        if given:
            known = ", ".join(port.name for port in self.inputs)
            raise EngineError(f"the engine has no input '{next(iter(given))}'; it has {known}")
        results = (_Tensor * max(len(self.outputs), 1))()
        # Sizes that depend on the data are not known before; the run then tells them.
        for attempt in range(3):
            buffers = [np.empty(max(room, 1), np.uint8) for room in self._room]
            for result, buffer, room in zip(results, buffers, self._room):
                result.data, result.bytes = buffer.ctypes.data, room
            status = _library().rulec_engine_run(
                self._handle, tensors, len(self.inputs), results, len(self.outputs))  # fmt: skip
            if status != _BUFFER_TOO_SMALL or attempt == 2:
                break
            self._room = [max(result.bytes, room) for result, room in zip(results, self._room)]
        _check(status)
        return {port.name: self._array(result, buffer)
                for port, result, buffer in zip(self.outputs, results, buffers)}  # fmt: skip

    def _ports(self, count, describe) -> list[Port]:
        out = []
        for index in range(count(self._handle)):
            port = _Port()
            _check(describe(self._handle, index, ctypes.byref(port)))
            dims = tuple(None if size < 0 else size for size in port.dims[: max(port.rank, 0)])
            out.append(Port(port.name.decode(), port.type.decode(),
                            dims if port.rank >= 0 else None, bool(port.has_default),
                            port.dtype))  # fmt: skip
        return out

    def _named(self, inputs: Inputs) -> dict[str, np.ndarray]:
        if isinstance(inputs, Mapping):
            return dict(inputs)
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        if len(inputs) > len(self.inputs):
            raise EngineError(f"{len(inputs)} inputs given, the engine has {len(self.inputs)}")
        return {port.name: array for port, array in zip(self.inputs, inputs)}

    @staticmethod
    def _fill(tensor: _Tensor, port: Port, value: np.ndarray, keep: list[object]) -> None:
        array = np.asarray(value)
        if array.ndim > MAX_RANK:
            raise EngineError(f"input '{port.name}' has rank {array.ndim}; {MAX_RANK} are possible")
        tensor.rank = array.ndim
        tensor.dims[: array.ndim] = array.shape
        if port.dtype_number == _STRING:
            texts = [str(text).encode() for text in array.ravel()]
            pointers = (ctypes.c_char_p * max(len(texts), 1))(*texts)
            keep += [texts, pointers]
            tensor.dtype, tensor.bytes = _STRING, len(texts) * ctypes.sizeof(ctypes.c_char_p)
            tensor.data = ctypes.cast(pointers, ctypes.c_void_p)
            return
        if array.dtype != port.dtype:
            raise EngineError(f"input '{port.name}' is {array.dtype}, the engine expects "
                              f"{port.dtype} ({port.type}); use array.astype")  # fmt: skip
        array = np.ascontiguousarray(array).reshape(array.shape)
        keep.append(array)
        tensor.dtype, tensor.bytes = port.dtype_number, array.nbytes
        tensor.data = array.ctypes.data

    @staticmethod
    def _array(result: _Tensor, buffer: np.ndarray) -> np.ndarray:
        shape = tuple(result.dims[: result.rank])
        data = buffer[: result.bytes]
        if result.dtype == _STRING:
            texts = data.tobytes().split(b"\0")[:-1]
            return np.array([text.decode() for text in texts], object).reshape(shape)
        return data.view(_numpy_dtype(result.dtype)).reshape(shape)
