"""The PyTorch side of bench/engine.ts: answers one JSON command a line. Same weights, same batches, same arithmetic."""
import time

import torch
import torch.nn.functional as F
from partner import read, serve, use_threads

names = {"torch": torch, "F": F}
nets = {}


def setup(code, threads):
    exec(code, names)
    return use_threads(threads)


def overhead(code, n):
    """Nanoseconds of one statement, in a loop without a function call."""
    scope = dict(names)
    exec(f"def loop(n):\n  for _ in range(n):\n    {code}\n", scope)
    loop = scope["loop"]
    start = time.perf_counter_ns()
    loop(n)
    return {"ns": (time.perf_counter_ns() - start) / n}


class Net:
    """ResNet for CIFAR, written as a PyTorch user would, over the tensors of the graph by name."""

    def __init__(self, depth, tensors, rate):
        self.depth, self.buffers, self.parameters = depth, {}, {}
        for name, tensor in tensors.items():
            if name.endswith(("running_mean", "running_var")):
                self.buffers[name] = tensor
            else:
                self.parameters[name] = tensor.requires_grad_()
        self.optimizer = torch.optim.SGD(self.parameters.values(), lr=rate, momentum=0.9, weight_decay=1e-4, foreach=True)

    def conv(self, x, name, stride=1):
        p = self.parameters
        return F.conv2d(x, p[name + ".weight"], p.get(name + ".bias"), stride, 1)

    def norm(self, x, name):
        p, b = self.parameters, self.buffers
        return F.batch_norm(x, b[name + ".running_mean"], b[name + ".running_var"], p[name + ".weight"], p[name + ".bias"], True, 0.1, 1e-5)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x, "features.0.0"), "features.0.1"), inplace=True)
        for stage in range(3):
            for block in range((self.depth - 2) // 6):
                path, stride = f"features.{stage + 1}.{block}.body", 2 if stage > 0 and block == 0 else 1
                y = F.relu(self.norm(self.conv(x, path + ".0", stride), path + ".1"), inplace=True)
                y = self.norm(self.conv(y, path + ".3"), path + ".4")
                if stride == 2:
                    half = x.shape[1] // 2
                    x = F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, half, half))
                x = F.relu(y.add_(x), inplace=True)
        x = F.avg_pool2d(x, 8).flatten(1)
        return F.linear(x, self.parameters["classifier.weight"], self.parameters["classifier.bias"])

    def step(self, x, target):
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.forward(x), target)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def net(key, depth, path, index, rate):
    nets[key] = Net(depth, read(path, index), rate)
    return {}


def batches(path, index):
    names["batches"] = read(path, index)
    return {}


def step(key, batch):
    data = names["batches"]
    start = time.perf_counter_ns()
    loss = nets[key].step(data[f"x{batch}"], data[f"y{batch}"])
    return {"ns": time.perf_counter_ns() - start, "loss": loss}


serve({"setup": setup, "overhead": overhead, "net": net, "batches": batches, "step": step})
