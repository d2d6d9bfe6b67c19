"""One round of PyTorch DistributedDataParallel over gloo, for `npm run bench -- ddp`.

Started by torchrun in each process; the first prints the milliseconds a step as one line of JSON. It trains what
Lockstep trains: linear layers with ReLU between them, convolutions and pools before them where asked for, or a transformer on the
bytes of a text; cross-entropy, plain SGD, each global batch split evenly over the processes, the samples in an order that is drawn
anew every epoch, and samples kept in memory. Attention is PyTorch's own scaled_dot_product_attention, its projections one matrix.

It is written as the documentation of DistributedDataParallel and the performance tuning guide advise for this setting. Variants
were tried side by side, four to seven rounds each on two cores that others used too; only the gain of the first two lines stood out
from the noise:
  gradient_as_bucket_view=True       saves a copy of the gradients: about 6 % on S and M
  a processor for each process       where they are as many: about 6 % on S, no difference on M
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
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
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


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.projections, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        samples, length, width = x.shape
        parts = self.projections(x).view(samples, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(*parts, is_causal=True)
        return self.output(mixed.transpose(1, 2).reshape(samples, length, width))


class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


class Transformer(nn.Module):
    def __init__(self, blocks, heads, width, length):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(256, width), nn.Parameter(torch.randn(length, width))
        wide = 4 * width
        self.blocks = nn.Sequential(
            *(
                layer
                for _ in range(blocks)
                for layer in (
                    Residual(nn.LayerNorm(width), Attention(width, heads)),
                    Residual(nn.LayerNorm(width), nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width)),
                )
            ),
            nn.LayerNorm(width),
            nn.Linear(width, 256),
        )

    def forward(self, tokens):
        return self.blocks(self.tokens(tokens) + self.positions).flatten(0, 1)


def digits(folder, width):
    images = read_idx(folder / "train-images-idx3-ubyte", 16).reshape(-1, width).float() / 255
    return images, read_idx(folder / "train-labels-idx1-ubyte", 8).long()


def text(path, length):
    """Tokens that follow one another without overlap, and for each the one behind it."""
    tokens = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8).long()
    samples = (len(tokens) - 1) // length
    return tokens[: samples * length].view(-1, length), tokens[1 : samples * length + 1].view(-1, length)


def keep_to_own_processor(usable):
    """Where this machine has as many processors as processes, and all may be kept busy, keeps this one to one of them (on Linux).

    With it the threads that it starts from now on. Lockstep does so for its workers in the same case.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    processes, processors = int(os.environ["LOCAL_WORLD_SIZE"]), sorted(os.sched_getaffinity(0))
    if processes == usable == len(processors):
        os.sched_setaffinity(0, {processors[int(os.environ["LOCAL_RANK"])]})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--widths", required=True)
    parser.add_argument("--convolutions", default="", help="filters of each, before the linear layers")
    parser.add_argument("--transformer", type=json.loads, help="its sizes, in place of other layers")
    parser.add_argument("--text", type=Path, help="what the transformer reads")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--processors", type=int, required=True, help="as many may be kept busy")
    options = parser.parse_args()
    widths = [int(width) for width in options.widths.split(",")]
    convolutions = [int(filters) for filters in options.convolutions.split(",") if filters]

    keep_to_own_processor(options.processors)
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, processes = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(1)
    if options.transformer:
        inputs, targets = text(options.text, options.transformer["length"])
        trained = Transformer(**options.transformer)
    else:
        inputs, targets = digits(options.data, widths[0])
        trained = network(widths, convolutions)
    model = DistributedDataParallel(
        trained, gradient_as_bucket_view=True, static_graph=True, broadcast_buffers=False
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=options.learning_rate)
    cross_entropy = nn.CrossEntropyLoss()

    began = 0.0
    start = len(inputs)
    for step in range(options.steps):
        if step == options.warm_up:
            dist.barrier()
            began = time.perf_counter()
        if start >= len(inputs):
            # The same seed in every process: the same order, of which each takes its part.
            order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(step))
            start = 0
        batch = order[start : start + options.batch]
        start += options.batch
        own = batch[rank * len(batch) // processes : (rank + 1) * len(batch) // processes]
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropy(model(inputs.index_select(0, own)), targets.index_select(0, own).flatten())
        loss.backward()
        optimizer.step()
    dist.barrier()
    elapsed = time.perf_counter() - began

    if rank == 0:
        milliseconds = 1000 * elapsed / (options.steps - options.warm_up)
        print(json.dumps({"millisecondsAStep": milliseconds, "loss": loss.item(), "version": torch.__version__}))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
