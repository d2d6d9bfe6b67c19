"""One round of PyTorch DistributedDataParallel over gloo, for `npm run bench -- ddp`.

Started by torchrun in each process; the first prints the milliseconds a step as one line of JSON. It trains what
Lockstep trains: linear layers with ReLU between them, convolutions and pools before them where asked for, cross-entropy, plain SGD, each global batch split evenly over the
processes, the samples in an order that is drawn anew every epoch, and float32 samples kept in memory.

It is written as the documentation of DistributedDataParallel advises for this setting. Variants were tried side by side,
five rounds each on two cores that others used too; only the first line's gain stood out from the noise:
  gradient_as_bucket_view=True       saves a copy of the gradients: about 6 % on S and M
  one thread a process               torchrun's default; the processes share the cores
  static_graph=True                  the graph never changes; no difference
  broadcast_buffers=False            the model has no buffers, so nothing is left out
  zero_grad(set_to_none=True)        the default
  ReLU(inplace=True)                 no difference
  bucket_cap_mb                      default; 1, 4 and 100 MB on S and M, 5 and 100 on L: no difference
  SGD's foreach and fused forms      no difference
  torch.compile                      inside or around DDP, on S and M: no difference
The loss is not read before the last step, which saves the peer what Lockstep does for its progress bar.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def read_idx(path, header):
    """The bytes behind the header of an IDX file."""
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8, offset=header)


def network(widths, convolutions):
    layers = []
    channels, side = 1, 28
    for filters in convolutions:
        layers += [nn.Conv2d(channels, filters, 3, padding="same"), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        channels, side = filters, side // 2
    if convolutions:
        layers = [nn.Unflatten(1, (1, 28, 28)), *layers, nn.Flatten()]
        widths = [channels * side * side, *widths[1:]]
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--widths", required=True)
    parser.add_argument("--convolutions", default="", help="filters of each, before the linear layers")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    options = parser.parse_args()
    widths = [int(width) for width in options.widths.split(",")]
    convolutions = [int(filters) for filters in options.convolutions.split(",") if filters]

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, processes = dist.get_rank(), dist.get_world_size()
    images = read_idx(options.data / "train-images-idx3-ubyte", 16).reshape(-1, widths[0]).float() / 255
    labels = read_idx(options.data / "train-labels-idx1-ubyte", 8).long()

    torch.manual_seed(1)
    model = DistributedDataParallel(
        network(widths, convolutions), gradient_as_bucket_view=True, static_graph=True, broadcast_buffers=False
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=options.learning_rate)
    cross_entropy = nn.CrossEntropyLoss()

    began = 0.0
    start = len(images)
    for step in range(options.steps):
        if step == options.warm_up:
            dist.barrier()
            began = time.perf_counter()
        if start >= len(images):
            # The same seed in every process: the same order, of which each takes its part.
            order = torch.randperm(len(images), generator=torch.Generator().manual_seed(step))
            start = 0
        batch = order[start : start + options.batch]
        start += options.batch
        own = batch[rank * len(batch) // processes : (rank + 1) * len(batch) // processes]
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(model(images.index_select(0, own)), labels.index_select(0, own))
        loss.backward()
        optimizer.step()
    dist.barrier()
    elapsed = time.perf_counter() - began

    if rank == 0:
        milliseconds = 1000 * elapsed / (options.steps - options.warm_up)
        print(json.dumps({"millisecondsAStep": milliseconds, "loss": loss.item(), "version": torch.__version__}))
    dist.destroy_process_group()


main()
