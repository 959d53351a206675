"""The PyTorch side of bench/interpreter.ts: ResNet for CIFAR in inference, written as a PyTorch user would; one JSON command a line."""
import json
import sys
import time

import torch
import torch.nn.functional as F

state = {}


def net(depth, path, index, threads):
    """Tensors from raw little-endian floats: index says name, shape and offset of each."""
    torch.set_num_threads(threads)
    data = bytearray(open(path, "rb").read())
    tensors = {}
    for name, (shape, offset) in index.items():
        count = 1
        for size in shape:
            count *= size
        tensors[name] = torch.frombuffer(data, dtype=torch.float32, count=count, offset=offset).reshape(shape).clone()
    state.update(depth=depth, t=tensors)
    return {"version": torch.__version__}


def norm(x, name):
    t = state["t"]
    return F.batch_norm(x, t[name + ".running_mean"], t[name + ".running_var"], t[name + ".weight"], t[name + ".bias"], False, 0.1, 1e-5)


def forward(x):
    t = state["t"]
    conv = lambda x, name, stride=1: F.conv2d(x, t[name + ".weight"], t.get(name + ".bias"), stride, 1)
    x = F.relu(norm(conv(x, "features.0.0"), "features.0.1"), inplace=True)
    for stage in range(3):
        for block in range((state["depth"] - 2) // 6):
            path, stride = f"features.{stage + 1}.{block}.body", 2 if stage > 0 and block == 0 else 1
            y = F.relu(norm(conv(x, path + ".0", stride), path + ".1"), inplace=True)
            y = norm(conv(y, path + ".3"), path + ".4")
            if stride == 2:
                half = x.shape[1] // 2
                x = F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, half, half))
            x = F.relu(y.add_(x), inplace=True)
    x = F.avg_pool2d(x, 8).flatten(1)
    return F.linear(x, t["classifier.weight"], t["classifier.bias"])


def infer():
    with torch.no_grad():
        start = time.perf_counter_ns()
        output = forward(state["t"]["the input"])
        took = time.perf_counter_ns() - start
    return {"ns": took, "output": output[0].tolist()}


commands = {"net": net, "infer": infer}
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(commands[request.pop("command")](**request)), flush=True)
