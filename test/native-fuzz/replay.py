"""Performs one random call, given as JSON on standard input, in PyTorch: it is ours to mend only if PyTorch survives it."""
import json
import math
import sys

import torch

torch.set_num_threads(1)


def element(dtype, fill, k):
    if dtype == "bool":
        return (k + fill) % 3 == 0
    whole = (k * 5 + fill) % 9 - (0 if dtype == "uint8" else 2)
    return whole if dtype.startswith("int") or dtype == "uint8" else whole / 2


def tensor(spec):
    elements = [element(spec["dtype"], spec["fill"], k) for k in range(math.prod(spec["shape"]))]
    made = torch.tensor(elements, dtype=getattr(torch, spec["dtype"])).reshape(spec["shape"])
    if spec["view"] == "reversed":
        made = made.permute(list(reversed(range(made.dim()))))
    if spec["view"] == "stepped" and made.dim() > 0:
        made = made[..., ::2]
    if spec["requiresGrad"] and (made.is_floating_point() or made.is_complex()):
        made = made.detach().requires_grad_()
    return made


def argument(spec):
    if not isinstance(spec, dict):
        return spec
    kind = spec["kind"]
    if kind == "tensor":
        return tensor(spec)
    if kind == "list":
        return [argument(item) for item in spec["items"]]
    if kind == "float":
        return float(spec["text"])
    if kind == "device":
        return torch.device(spec["text"])
    return getattr(torch, {"sparse": "sparse_coo", "mkldnn": "_mkldnn"}.get(spec["text"], spec["text"]))


def touch(value):
    if isinstance(value, (list, tuple)):
        for one in value:
            touch(one)
    elif isinstance(value, torch.Tensor) and value.device.type == "cpu" and value.numel() <= 1 << 16:
        value.detach().contiguous().tolist()


call = json.load(sys.stdin)
namespace, rest = call["operator"].split("::")
name, _, overload = rest.partition(".")
operator = getattr(getattr(getattr(torch.ops, namespace), name), overload or "default")
positional, named = [], {}
for place, parameter in enumerate(operator._schema.arguments):
    key = parameter.name
    if key in call["args"]:
        value = argument(call["args"][key])
    elif not parameter.has_default_value() and isinstance(parameter.type, torch.OptionalType):
        value = None  # as the engine does; torch.ops wants it said
    else:
        continue
    if key in call["named"] or place > len(positional):
        named[key] = value
    else:
        positional.append(value)
try:
    results = operator(*positional, **named)
    results = results if isinstance(results, (list, tuple)) else [results]
    first = next((one for one in results if isinstance(one, torch.Tensor)), None)
    if call["backward"] and first is not None and first.requires_grad:
        first.sum().backward()
    touch(results)
    print("returned")
except Exception as error:
    print("refused", str(error).split("\n")[0])
