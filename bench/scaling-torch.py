"""The PyTorch side of bench/scaling.ts: the same network under DistributedDataParallel over Gloo; one JSON command a line."""
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from partner import serve, use_threads
from resnet_torch import resnet
from torch.nn.parallel import DistributedDataParallel

state = {}


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
