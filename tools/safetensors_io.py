# Reads and writes safetensors files with numpy alone, for the scripts that talk to `lamina run`.
#
# The format: eight bytes with the header's length (little endian), a JSON header that gives each
# tensor's dtype, shape and byte range, then the bytes. https://github.com/huggingface/safetensors
# SPDX-License-Identifier: Apache-2.0
import json
import struct

import numpy

_DTYPES = {
    "F64": numpy.float64,
    "F32": numpy.float32,
    "F16": numpy.float16,
    "I64": numpy.int64,
    "I32": numpy.int32,
    "U8": numpy.uint8,
}
_NAMES = {numpy.dtype(dtype): name for name, dtype in _DTYPES.items()}
_LENGTH = struct.Struct("<Q")


def write(path, tensors, metadata=None):
    """Writes a dict of numpy arrays; the same arguments give the same bytes."""
    header, position, chunks = {}, 0, []
    if metadata:
        header["__metadata__"] = {key: str(value) for key, value in metadata.items()}
    for name, array in tensors.items():
        # ascontiguousarray would turn a scalar into a vector of one
        array = numpy.asarray(array, order="C")
        if array.dtype not in _NAMES:
            raise SystemExit(f"{path}: tensor '{name}' is {array.dtype}; "
                             f"use one of {', '.join(str(d) for d in _NAMES)}.")
        data = array.astype(array.dtype.newbyteorder("<"), copy=False)
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape),
                        "data_offsets": [position, position + data.nbytes]}
        position += data.nbytes
        chunks.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start on a multiple of eight
    with open(path, "wb") as file:
        file.write(_LENGTH.pack(len(text)) + text)
        for data in chunks:
            file.write(data.data)


def read(path):
    """Returns (dict of numpy arrays, metadata). The arrays share the memory of one reading of the
    file and cannot be written to, but for those of bf16, which numpy lacks: they come as float32."""
    data = numpy.fromfile(path, dtype=numpy.uint8)
    if data.size < _LENGTH.size or _LENGTH.unpack_from(data)[0] > data.size - _LENGTH.size:
        raise SystemExit(f"{path}: shorter than its safetensors header says; write it again.")
    data.flags.writeable = False
    start = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    header = json.loads(data[_LENGTH.size:start].tobytes())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            high = numpy.frombuffer(data[begin:end], dtype="<u2").astype(numpy.uint32)
            tensors[name] = (high << 16).view(numpy.float32).reshape(entry["shape"])
            continue
        dtype = numpy.dtype(_DTYPES[entry["dtype"]]).newbyteorder("<")
        array = numpy.frombuffer(data[begin:end], dtype=dtype).reshape(entry["shape"])
        tensors[name] = array.astype(_DTYPES[entry["dtype"]], copy=False)
    return tensors, metadata
