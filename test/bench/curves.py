"""The transformer of ddp.py, from given parameters on given minibatches, for `npm run bench -- curves`.

Prints the loss of every step and the loss on the held-out text as one line of JSON.
"""

import argparse
import json
from pathlib import Path

import torch
from ddp import Transformer, text
from torch import nn


def tensors_of(path):
    """The F32 tensors of a safetensors file by their names."""
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    data = content[8 + size :]
    return {
        name: torch.frombuffer(data[slice(*entry["data_offsets"])], dtype=torch.float32).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def in_pytorchs_names(given, blocks):
    """Lockstep numbers its layers; its attention has a matrix for each projection."""
    named = {"tokens.weight": given["0.weight"], "positions": given["1.weight"]}

    def take(ours, theirs):
        for kind in ("weight", "bias"):
            named[f"{theirs}.{kind}"] = given[f"{ours}.{kind}"]

    for block in range(2 * blocks):
        ours, theirs = 2 + block, f"blocks.{block}.layers"
        take(f"{ours}.0", f"{theirs}.0")
        if block % 2 == 0:
            for kind in ("weight", "bias"):
                named[f"{theirs}.1.projections.{kind}"] = torch.cat([given[f"{ours}.1.{part}.{kind}"] for part in "qkv"])
            take(f"{ours}.1.o", f"{theirs}.1.output")
        else:
            take(f"{ours}.1", f"{theirs}.1")
            take(f"{ours}.3", f"{theirs}.3")
    take(str(2 + 2 * blocks), f"blocks.{2 * blocks}")
    take(str(3 + 2 * blocks), f"blocks.{2 * blocks + 1}")
    return named


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--transformer", type=json.loads, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="safetensors")
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--order", type=Path, required=True, help="JSON: the samples of every minibatch")
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--precision", choices=["float32", "float64"], required=True)
    options = parser.parse_args()

    torch.set_default_dtype(getattr(torch, options.precision))
    sizes = options.transformer
    model = Transformer(**sizes)
    # They are copied into the model's own, in its precision.
    model.load_state_dict(in_pytorchs_names(tensors_of(options.weights), sizes["blocks"]))
    optimizer = torch.optim.SGD(model.parameters(), lr=options.learning_rate)
    cross_entropy = nn.CrossEntropyLoss()
    inputs, targets = text(options.train, sizes["length"])
    losses = []
    for batch in json.loads(options.order.read_text()):
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs[batch]), targets[batch].flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    inputs, targets = text(options.test, sizes["length"])
    with torch.no_grad():
        held_out = cross_entropy(model(inputs), targets.flatten()).item()
    print(json.dumps({"losses": losses, "heldOut": held_out, "version": torch.__version__}))


main()
