"""The PyTorch side of bench/training-layouts.ts: steps of EDSR, its convolutions over a basis written in one of three ways."""
import time

import torch
import torch.nn.functional as F
from partner import read, serve, use_threads

nets, batch = {}, {}


def split(x, basis, bias, s):
    """The paper's way: s convolutions that share one weight, concatenated."""
    return torch.cat([F.conv2d(part, basis, bias, padding=1) for part in torch.split(x, basis.shape[1], 1)], 1)


def folded(x, basis, bias, s):
    n, c, h, w = x.shape
    return F.conv2d(x.view(n * s, c // s, h, w), basis, bias, padding=1).view(n, -1, h, w)


def volume(x, basis, bias, s):
    """Section 3.3: a 3D convolution with stride p along the channels. [N, 1, c, h, w] -> [N, m, s, h, w] -> [N, m s, h, w]"""
    p = basis.shape[1]
    return F.conv3d(x.unsqueeze(1), basis.unsqueeze(1), bias, stride=(p, 1, 1), padding=(0, 1, 1)).flatten(1, 2)


ways = {"split": split, "batch-folded": folded, "conv3d": volume}


class Net:
    """EDSR, written as a PyTorch user would, over the tensors of the graph by name."""

    def __init__(self, tensors, blocks, way, rate):
        self.blocks, self.way = blocks, way
        self.parameters = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=rate, foreach=True)

    def conv(self, x, name):
        p = self.parameters
        if name + ".basis.weight" not in p:
            weight = p[name + ".weight"]
            return F.conv2d(x, weight, p[name + ".bias"], padding=weight.shape[2] // 2)
        basis, combine = p[name + ".basis.weight"], p[name + ".coefficients.weight"]
        s = x.shape[1] // basis.shape[1]
        x = ways[self.way](x, basis, p[name + ".basis.bias"], s)
        if self.way == "conv3d":
            # Its channels come basis filter first: the few coefficients are put in that order, not the activations.
            combine = combine.view(-1, s, basis.shape[0], 1, 1).transpose(1, 2).flatten(1, 2)
        return F.conv2d(x, combine, p[name + ".coefficients.bias"])

    def forward(self, x):
        x = head = self.conv(self.conv(x, "sub_mean"), "head.0")
        for block in range(self.blocks):
            y = F.relu(self.conv(x, f"body.{block}.body.0"), inplace=True)
            x = self.conv(y, f"body.{block}.body.2").add_(x)
        x = self.conv(x, f"body.{self.blocks}").add_(head)
        for module in (0, 2):
            x = F.pixel_shuffle(self.conv(x, f"tail.0.{module}"), 2)
        return self.conv(self.conv(x, "tail.1"), "add_mean")

    def step(self, x, target):
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.l1_loss(self.forward(x), target)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def load(path, index):
    batch.update(read(path, index))
    return {}


def net(key, path, index, **options):
    nets[key] = Net(read(path, index), **options)
    return {}


def drop(key):
    del nets[key]
    return {}


def step(key):
    start = time.perf_counter_ns()
    loss = nets[key].step(batch["input"], batch["target"])
    return {"ns": time.perf_counter_ns() - start, "loss": loss}


serve({"setup": use_threads, "batch": load, "net": net, "drop": drop, "step": step})
