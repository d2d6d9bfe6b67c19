/** A network in an ONNX file as a layer, up to one of its tensors; what follows it is the new head. */
import type { Tensor } from "../graph/operation.ts";
import type { OnnxFile } from "../graph/onnx/file.ts";
import { importOnnx, outputOf, refuseProbabilities } from "../graph/onnx/import/importer.ts";
import type { LayerSpec, LossSpec, NetworkContext } from "./spec.ts";

export const importedLayers = {
  onnx(x: Tensor, layer: Extract<LayerSpec, { kind: "onnx" }>, { stored, fileOf, isTrained }: NetworkContext): Tensor {
    const { output, prefix = "" } = layer;
    const file = fileOf(layer);
    return importOnnx(file, outputOf(file, output), x, {
      isTrained,
      parameter: (name, shape, statistic) => stored({ name: `${prefix}${name}`, shape, frozen: statistic }),
    });
  },
};

/** Throws MODEL_INVALID where a file's probabilities would be taken for scores. */
export function checkScores(file: OnnxFile, output: string | undefined, { kind }: LossSpec): void {
  if (kind === "crossEntropy" || kind === "binaryCrossEntropy") refuseProbabilities(file, outputOf(file, output), kind);
}
