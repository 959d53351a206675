"""What the PyTorch sides of the benchmarks share: tensors from a raw file, and answers to one JSON command a line."""
import json
import sys

import torch


def use_threads(threads):
    torch.set_num_threads(threads)
    return {"version": torch.__version__, "threads": torch.get_num_threads()}


def read(path, index):
    """Tensors from raw little-endian floats (or int64): index says name, dtype, shape and offset of each."""
    data = bytearray(open(path, "rb").read())
    tensors = {}
    for name, (dtype, shape, offset) in index.items():
        count = 1
        for size in shape:
            count *= size
        kind = torch.int64 if dtype == "int64" else torch.float32
        tensors[name] = torch.frombuffer(data, dtype=kind, count=count, offset=offset).reshape(shape).clone()
    return tensors


def serve(commands):
    for line in sys.stdin:
        request = json.loads(line)
        answer = commands[request.pop("command")](**request)
        print(json.dumps(answer), flush=True)
