"""The PyTorch side of bench/scaling.ts: the same network under DistributedDataParallel over Gloo; one JSON command a line."""
import time

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from partner import serve, use_threads
from torch.nn.parallel import DistributedDataParallel

state = {}


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.stride, self.more = stride, after - before

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)), inplace=True)))
        if self.stride == 2:
            x = F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, self.more // 2, self.more // 2))
        return F.relu(y + x, inplace=True)


def resnet(depth):
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    before = 16
    for stage, width in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            layers.append(Block(before, width, 2 if stage > 0 and block == 0 else 1))
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def join(path, rank, size):
    dist.init_process_group("gloo", init_method="file://" + path, rank=rank, world_size=size)
    return use_threads(1)


def begin(mode, depth, images):
    torch.manual_seed(1)
    net = resnet(depth).train()
    if mode != "alone":
        net = DistributedDataParallel(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4, foreach=True)
    state.update(net=net, optimizer=optimizer, x=torch.randn(images, 3, 32, 32), y=torch.randint(0, 10, (images,)))
    return {"ms": [], "bytes": []}


def steps(count):
    net, optimizer, ms = state["net"], state["optimizer"], []
    for _ in range(count):
        start = time.perf_counter_ns()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(state["x"].clone()), state["y"])
        loss.backward()
        optimizer.step()
        loss.item()
        ms.append((time.perf_counter_ns() - start) / 1e6)
    return {"ms": ms, "bytes": []}


serve({"join": join, "begin": begin, "steps": steps})
