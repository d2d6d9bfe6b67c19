/** The layers of a model as one function of "features", in a graph of its own. */
import { LockstepError } from "../errors.ts";
import { GraphBuilder } from "../graph/graph.ts";
import type { Tensor } from "../graph/operation.ts";
import { flatten, reshape } from "../graph/operations/broadcast.ts";
import type { OnnxFile } from "../graph/onnx/file.ts";
import { type DataType, describeShape, sameShape, type Shape } from "../graph/values.ts";
import { checkMask, checkParameter, checkUse } from "./check-context.ts";
import { product } from "../shape.ts";
import { layerName } from "./check-spec.ts";
import type { Initialiser } from "./initialisers.ts";
import { checkScores } from "./imported.ts";
import { applyLayer, layersCounted } from "./layers.ts";
import { remedies } from "./remedies.ts";
import type { LayerSpec, ModelSpec, NetworkContext, ParameterSpec } from "./spec.ts";

/** A parameter as the run's layout and its initialisation need it. */
export interface Parameter extends Required<ParameterSpec> {
  readonly initialiser: Initialiser;
  /** In the order of use: what its initialiser gives depends on it. */
  readonly number: number;
  /** It starts from a file, not from its initialiser. */
  readonly stored: boolean;
}

/** Whether a parameter keeps its start. */
export type IsFrozen = (parameter: { readonly name: string; readonly shape: readonly number[] }) => boolean;

const rows: Shape[number] = { rows: 1 };

/** Masks of layers within layers are numbered from here on; those of the model's list have the numbers of their layers. */
const FIRST_INNER_MASK = 4096;

export class Network {
  readonly builder = new GraphBuilder();
  readonly parameters: { readonly parameter: Parameter; readonly tensor: Tensor }[] = [];
  /** The last layer's output; where the targets have positions, a row for each of each sample. A custom loss gets it as it is. */
  readonly scores: Tensor;
  /** Rows of `scores` for each sample. */
  readonly positions: number;
  readonly #training: boolean;
  readonly #isFrozen: IsFrozen;
  readonly #files: NonNullable<ModelSpec["files"]>;
  readonly #target: ModelSpec["target"];
  /** Whether the loss is a function of output and targets as they are. */
  readonly #isCustom: boolean;
  /** What computed a tensor, as messages call it. */
  readonly #givenBy = new Map<Tensor, string>();
  readonly #trained = new Map<Tensor, boolean>();
  #targets: Tensor | undefined;
  #innerMasks = 0;

  constructor(spec: ModelSpec, training: boolean, isFrozen: IsFrozen) {
    this.#training = training;
    this.#isFrozen = isFrozen;
    this.#files = spec.files ?? new Map();
    this.#target = spec.target;
    const { target, loss } = spec;
    this.#isCustom = loss.kind === "custom";
    this.positions = target.kind === "class" && loss.kind !== "custom" ? (target.positions ?? 1) : 1;
    const features = this.builder.input("features", { kind: "features" }, [rows, ...spec.inputShape]);
    this.#givenBy.set(features, "the data");
    this.scores = this.#scoresOf(this.#chain(spec.layers, features), spec);
  }

  /** What the scores are compared with. Unless something is, the graph has no such input. */
  get targets(): Tensor {
    this.#targets ??= this.#targetInput();
    return this.#targets;
  }

  #targetInput(): Tensor {
    const target = this.#target;
    const input = (shape: Shape, dtype: DataType): Tensor =>
      this.builder.input("targets", { kind: "targets" }, shape, dtype);
    if (target.kind === "values") return input([rows, target.width], "float32");
    if (target.positions === undefined) return input([rows], "int32");
    const labels = input([rows, target.positions], "int32");
    return this.#isCustom ? labels : reshape(labels, [{ rows: this.positions }]);
  }

  #chain(layers: readonly LayerSpec[], features: Tensor): Tensor {
    let number = 0;
    let x = features;
    // A function that is the whole model names its parameters itself.
    const isFunction = layers.length === 1 && layers[0]?.kind === "custom";
    layers.forEach((layer, place) => {
      x = this.#apply(layer, x, this.#context(isFunction ? "" : `${number}.`, number), layerName(place, layer));
      number += layersCounted(layer);
    });
    return x;
  }

  /** The output in the shape that the targets want: [samples, width], or [samples × positions, classes]. */
  #scoresOf(output: Tensor, { layers, loss, target }: ModelSpec): Tensor {
    const final = layers.at(-1);
    if (final?.kind === "onnx") checkScores(this.#fileOf(final), final.output, loss);
    if (loss.kind === "custom") return output;
    const width = target.kind === "class" ? target.classes : target.width;
    const isSequence = target.kind === "class" && target.positions !== undefined;
    const scores = isSequence || output.shape.length === 2 ? output : flatten(output);
    const wanted = isSequence ? [rows, this.positions, width] : [rows, width];
    if (sameShape(scores.shape, wanted))
      return isSequence ? reshape(scores, [{ rows: this.positions }, width]) : scores;
    const last = layers.length - 1;
    throw new LockstepError(
      "SHAPE_MISMATCH",
      `${layerName(last, layers[last] as LayerSpec)} gives ${describeShape(scores.shape)}, the targets want ${describeShape(wanted)}`,
      isSequence
        ? `Let the last layer be linear, of ${width} units: it keeps the positions.`
        : `Let the last dense layer have ${width} units.`,
    );
  }

  #apply(layer: LayerSpec, x: Tensor, context: NetworkContext, name: string): Tensor {
    try {
      const y = applyLayer(x, layer, context);
      this.#givenBy.set(y, name);
      return y;
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      const source = this.#givenBy.get(x);
      const given = `given ${describeShape(x.shape)}${source === undefined ? "" : ` by ${source}`}`;
      const hint = error.hint || (error.code === "SHAPE_MISMATCH" ? (remedies[layer.kind] ?? "") : "");
      throw new LockstepError(error.code, `${name}, ${given}: ${error.message}`, hint, { cause: error });
    }
  }

  /** @param prefix stands in front of the parameters' names */
  #context(prefix: string, mask?: number): NetworkContext {
    let used = 0;
    return {
      training: this.#training,
      parameter: (parameter) => {
        checkParameter(parameter);
        return this.#parameter({ ...parameter, name: `${prefix}${parameter.name}` }, false);
      },
      stored: (parameter) => this.#parameter(parameter, true),
      fileOf: (layer) => this.#fileOf(layer),
      isTrained: (tensor) => this.#isTrained(tensor),
      mask: (rate, shape) => {
        checkMask(rate, shape);
        const number = mask ?? FIRST_INNER_MASK + this.#innerMasks++;
        return this.builder.input(`mask:${number}`, { kind: "mask", rate, layer: number }, shape);
      },
      use: (layer, x, name = String(used)) => {
        checkUse(layer, x, name);
        used += layersCounted(layer);
        return this.#apply(
          layer,
          x,
          this.#context(name === "" ? prefix : `${prefix}${name}.`),
          `${name} (${layer.kind})`,
        );
      },
    };
  }

  #isTrained(tensor: Tensor): boolean {
    const known = this.#trained.get(tensor);
    if (known !== undefined) return known;
    const isTrained = tensor.inputs.some((input) => this.#isTrained(input));
    this.#trained.set(tensor, isTrained);
    return isTrained;
  }

  #fileOf({ file }: Extract<LayerSpec, { kind: "onnx" }>): OnnxFile {
    const found = this.#files.get(file);
    if (found === undefined) throw new Error(`${file} has not been read`);
    return found;
  }

  #parameter({ name, shape, ...options }: ParameterSpec, stored: boolean): Tensor {
    if (this.parameters.some(({ parameter }) => parameter.name === name)) {
      throw new LockstepError(
        "CONFIG_INVALID",
        `two parameters are named ${name}`,
        "Give one another name (an ONNX file's get a prefix); to share it, ask for it once and use the tensor twice.",
      );
    }
    const [out = 1, inputs = 1, ...inner] = shape;
    const fans = { fanIn: inputs * product(inner), fanOut: out * product(inner) };
    const { initialiser = shape.length < 2 ? "zeros" : "xavier" } = options;
    const tensor = this.builder.input(`parameter:${name}`, { kind: "parameter", parameter: name }, shape);
    const frozen = options.frozen === true || this.#isFrozen({ name, shape });
    const number = this.parameters.length;
    this.parameters.push({
      parameter: { ...fans, ...options, initialiser, name, shape, frozen, number, stored },
      tensor,
    });
    this.#trained.set(tensor, !frozen);
    return tensor;
  }
}
