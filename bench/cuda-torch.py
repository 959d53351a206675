"""The PyTorch side of bench/cuda.ts: the same networks trained on a GPU as a PyTorch user would; one JSON command a line."""
import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from resnet_torch import resnet

state = {}


def vgg(width):
    layers, before = [], 3
    for layer in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if layer == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        after = layer // width
        layers += [nn.Conv2d(before, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        before = after
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before, 10))


def begin(net, precision, batch, benchmark):
    torch.backends.cudnn.benchmark = benchmark
    made = {"resnet20": lambda: resnet(20), "resnet56": lambda: resnet(56), "vgg16": lambda: vgg(2)}[net]().cuda().train()
    state.update(net=made, precision=getattr(torch, precision), batch=batch)
    state["optimizer"] = torch.optim.SGD(made.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
    state["images"] = torch.randn(batch, 3, 32, 32).pin_memory()
    state["labels"] = torch.randint(0, 10, (batch,)).pin_memory()
    return {"version": torch.__version__, "weights": sum(p.numel() for p in made.parameters())}


def steps(count):
    net, optimizer = state["net"], state["optimizer"]
    torch.cuda.synchronize()
    start, loss = time.perf_counter(), 0.0
    for _ in range(count):
        x = state["images"].cuda(non_blocking=True)
        y = state["labels"].cuda(non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=state["precision"], enabled=state["precision"] != torch.float32):
            found = F.cross_entropy(net(x), y)
        found.backward()
        optimizer.step()
        loss = found.item()
    torch.cuda.synchronize()
    return {"seconds": time.perf_counter() - start, "loss": loss}


for line in sys.stdin:
    request = json.loads(line)
    command = request.pop("command")
    print(json.dumps({"begin": begin, "steps": steps}[command](**request)), flush=True)
