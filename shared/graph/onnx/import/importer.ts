/**
 * An ONNX file as a function of tensors: the nodes that an output needs, translated to operations that have derivatives. Float
 * tensors that the file stores become parameters under their own names.
 */
import { LockstepError } from "../../../errors.ts";
import type { Tensor } from "../../operation.ts";
import { reshape } from "../../operations/broadcast.ts";
import { describeShape, type Dim } from "../../values.ts";
import type { OnnxFile, OnnxInput, OnnxNode, StoredTensor } from "../file.ts";
import { arrangeRules } from "./arrange.ts";
import { cutsFractions } from "./cast.ts";
import { type Names, NodeContext, type Rule, type Rules } from "./context.ts";
import { elementwiseRules } from "./elementwise.ts";
import { imageRules } from "./images.ts";
import { matrixRules } from "./matrices.ts";
import { normRules } from "./norms.ts";
import { reductionRules } from "./reductions.ts";
import { type Statistics, statisticsIn } from "./statistics.ts";
import { asConstant, isNumbers, type Known, ofNumbers, ofTensor, type Value } from "./value.ts";

const rules: Rules = {
  ...elementwiseRules,
  ...matrixRules,
  ...imageRules,
  ...normRules,
  ...reductionRules,
  ...arrangeRules,
  Constant: (node) => {
    const single = node.number("value_float", Number.NaN);
    if (!Number.isNaN(single)) return ofNumbers([], [single], true);
    const floats = node.list("value_floats");
    const whole = node.list("value_ints") ?? [node.number("value_int", 0)];
    return floats === undefined
      ? ofNumbers(node.list("value_ints") ? [whole.length] : [], whole)
      : ofNumbers([floats.length], floats, true);
  },
};

/** The types of nodes that are known. */
export const knownOperations: readonly string[] = Object.keys(rules);

/** Steps, whose derivative is zero wherever it is one: nothing before them would learn anything. */
const steps: ReadonlySet<string> = new Set(["Floor", "Ceil", "Round", "Sign", "Hardmax"]);

/** What an imported file asks of the model it becomes part of. */
export interface ImportContext {
  /** The parameter that starts as the tensor of this name; a `statistic` never trains. */
  readonly parameter: (name: string, shape: readonly number[], statistic: boolean) => Tensor;
  /** Whether a tensor is a parameter that is trained, or is computed from one. */
  readonly isTrained: (tensor: Tensor) => boolean;
}

/** The file's own output; throws MODEL_INVALID where it has several, or none of the name that is asked for. */
export function outputOf({ source, nodes, outputs }: OnnxFile, asked?: string): string {
  const all = nodes.flatMap((node) => node.outputs);
  const refuse = (reason: string, hint: string): never => {
    throw new LockstepError("MODEL_INVALID", `${source}: ${reason}`, hint);
  };
  if (asked !== undefined) {
    const last = all.slice(-6).join(", ");
    return all.includes(asked) ? asked : refuse(`nothing in it is named ${asked}`, `Its last tensors are ${last}.`);
  }
  const [only, ...others] = outputs;
  if (only !== undefined && others.length === 0) return only;
  return refuse(`it has the outputs ${outputs.join(", ")}`, "Name one of them, or any other tensor, as output.");
}

/** The node that gives a tensor. */
const producerOf = ({ nodes }: OnnxFile, name: string): OnnxNode | undefined =>
  nodes.find(({ outputs }) => outputs.includes(name));

/**
 * Throws MODEL_INVALID where an output is a probability: losses take scores, and a softmax of a softmax trains badly without a word.
 */
export function refuseProbabilities(file: OnnxFile, output: string, loss: string): void {
  const node = producerOf(file, output);
  if (node === undefined || !["Softmax", "LogSoftmax", "Sigmoid"].includes(node.type)) return;
  throw new LockstepError(
    "MODEL_INVALID",
    `${file.source}: its output ${output} is what ${node.called} gives, and the loss ${loss} takes scores`,
    `Take output: ${node.inputs[0]}; the ${node.type === "Sigmoid" ? "sigmoid" : "softmax"} is applied by the loss and by predictions.`,
  );
}

export interface StoredParameter {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Builds what the file computes from x, as far as `output`. Errors name the file and the node. */
export function importOnnx(file: OnnxFile, output: string, x: Tensor, context: ImportContext): Tensor {
  return new Importer(file, x, context).run(output);
}

const IMPOSSIBLE =
  "Samples are the first axis of every tensor inside the model, and all sizes are at least 1: take an output before it, or write that part of the model so.";

class Importer {
  readonly #file: OnnxFile;
  readonly #context: ImportContext;
  readonly #values = new Map<string, Value>();
  readonly #stored: Map<string, StoredTensor>;
  readonly #trainable: ReadonlyMap<string, StoredParameter>;
  readonly #parameters = new Map<string, Tensor>();
  readonly #statistics: Statistics;
  readonly #names: Names;

  constructor(file: OnnxFile, x: Tensor, context: ImportContext) {
    this.#file = file;
    this.#context = context;
    this.#stored = new Map(file.initialisers);
    this.#trainable = storedParameters(file);
    this.#statistics = statisticsIn(file.nodes);
    const batch = file.inputs[0]?.shape[0];
    this.#names = {
      operatorSet: file.operatorSet,
      batch: typeof batch === "number" && batch > 0 ? batch : undefined,
      data: x,
      isDataWhole: file.inputs[0]?.isWhole === true,
      tensor: (name) => this.#tensor(name),
      statistic: (name) => this.#statistic(name),
      known: (name, stored = false) => this.#known(name, stored),
    };
  }

  run(output: string): Tensor {
    const nodes = this.#neededFor(output);
    this.#checkTypes(nodes);
    for (const node of nodes) this.#apply(node);
    return this.#tensor(output);
  }

  /** The nodes behind a tensor, in order, with the one input fed. */
  #neededFor(output: string): OnnxNode[] {
    const wanted = new Set([output]);
    const nodes = this.#file.nodes.toReversed().filter(({ inputs, outputs }) => {
      const isNeeded = outputs.some((name) => wanted.has(name));
      if (isNeeded) for (const input of inputs) wanted.add(input);
      return isNeeded;
    });
    const [input, ...others] = this.#file.inputs.filter(({ name }) => wanted.has(name));
    if (input === undefined) this.#refuse(`${output} does not depend on its input`, "Choose another output.");
    if (others.length > 0)
      this.#refuse(
        `${output} needs the inputs ${[input, ...others].map(({ name }) => name).join(", ")}`,
        "A data set feeds one: export the model with the others fixed, or choose an output before them.",
      );
    this.#values.set(input.name, ofTensor(this.#fed(input)));
    return nodes.toReversed();
  }

  /** The features in the input's shape; axes of size 1 are put in or taken out. */
  #fed({ name, shape }: OnnxInput): Tensor {
    const { data } = this.#names;
    const own = data.shape.slice(1) as number[];
    const wanted = shape.slice(1);
    const isSame =
      wanted.length === own.length && wanted.every((size, axis) => typeof size === "string" || size === own[axis]);
    if (isSame && shape.length > 0) return data;
    const longer = (sizes: readonly (number | string)[]): string => sizes.filter((size) => size !== 1).join();
    if (longer(wanted) === longer(own)) return reshape(data, [data.shape[0] as Dim, ...(wanted as number[])]);
    throw new LockstepError(
      "SHAPE_MISMATCH",
      `${this.#file.source}: its input ${name} is [${shape.join(", ")}], and was given ${describeShape(data.shape)}`,
      "Put layers before it that make that shape, such as reshape, or take data of that size.",
    );
  }

  #apply(node: OnnxNode): void {
    const stored = constantIn(node) ?? this.#renamed(node);
    if (stored !== undefined) {
      this.#stored.set(node.outputs[0] as string, stored);
      return;
    }
    const rule = rules[node.type] as Rule;
    const given = this.#within(node, () => {
      const context = new NodeContext(node, this.#names);
      if (steps.has(node.type) || (node.type === "Cast" && cutsFractions(context))) this.#refuseSteps(node);
      return rule(context);
    });
    const values = Array.isArray(given) ? (given as readonly Value[]) : [given as Value];
    node.outputs.forEach((name, place) => {
      const value = values[place];
      if (value !== undefined) this.#values.set(name, value);
    });
  }

  /** What a node gives that names a parameter which stands for itself. */
  #renamed({ type, outputs: [name = ""] }: OnnxNode): StoredTensor | undefined {
    const parameter = type === "Identity" ? this.#trainable.get(name) : undefined;
    return parameter && { type: "float", ...parameter };
  }

  /** Before anything is computed: what stands around an unknown node, such as its states, would be refused for what it isn't. */
  #checkTypes(nodes: readonly OnnxNode[]): void {
    const unknown = nodes.filter(({ type }) => !Object.hasOwn(rules, type));
    const [first] = unknown;
    if (first === undefined) return;
    const types = [...new Set(unknown.map(({ type }) => type))];
    this.#refuse(
      `${first.called}: Lockstep does not know the operation${types.length > 1 ? "s" : ""} ${types.join(", ")}`,
      "Export the model without it, or take an output before it. The README lists what is known.",
    );
  }

  /** Names the node in whatever goes wrong in it. */
  #within<Result>({ called }: OnnxNode, action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      // It is the file that asks for a graph that cannot be.
      const [code, hint] =
        error.code === "GRAPH_INVALID" ? (["MODEL_INVALID", IMPOSSIBLE] as const) : [error.code, error.hint];
      throw new LockstepError(code, `${this.#file.source}: ${called}: ${error.message}`, hint, { cause: error });
    }
  }

  #refuseSteps({ type, inputs }: OnnxNode): void {
    const [input = ""] = inputs;
    const value = this.#values.get(input);
    if (value === undefined || !("tensor" in value) || !this.#context.isTrained(value.tensor)) return;
    const names = [...this.#parameters].filter(([, tensor]) => this.#context.isTrained(tensor)).map(([name]) => name);
    throw new LockstepError(
      "MODEL_INVALID",
      `${type} has no derivative, and parameters before it are trained: ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}`,
      "Freeze these: groups: [{parameters: [...], frozen: true}].",
    );
  }

  #tensor(name: string): Tensor {
    const value = this.#values.get(name);
    if (value !== undefined && "tensor" in value) return value.tensor;
    const stored = this.#stored.get(name);
    if (stored !== undefined && this.#trainable.has(name)) return this.#parameter(name, stored.shape);
    const known = this.#known(name, true);
    if (known === undefined) return this.#refuse(`nothing gives ${name}`, "Choose another output.");
    const { values } = known;
    if (isNumbers(values)) return asConstant(known.shape, values, this.#names.data);
    return this.#refuse(
      `${name} is computed from the number of samples`,
      "Each sample is computed by itself: export the model without it, or take an output before it.",
    );
  }

  /** Where the file stores a statistic and something that trains as one tensor, the statistic is a constant. */
  #statistic(name: string): Tensor {
    const source = this.#statistics.sourceOf(name);
    const stored = this.#trainable.get(source);
    if (stored === undefined || this.#statistics.isPure(source)) return this.#tensor(name);
    return asConstant(stored.shape, [...stored.values], this.#names.data);
  }

  #parameter(name: string, shape: readonly number[]): Tensor {
    const before = this.#parameters.get(name);
    const tensor = before ?? this.#context.parameter(name, shape, this.#statistics.isPure(name));
    this.#parameters.set(name, tensor);
    return tensor;
  }

  #known(name: string, deep: boolean): Known | undefined {
    const value = this.#values.get(name);
    if (value !== undefined) return "known" in value ? value.known : undefined;
    const stored = this.#stored.get(name);
    if (stored === undefined || (this.#trainable.has(name) && !deep)) return undefined;
    return { shape: stored.shape, values: [...stored.values], isFloat: stored.type === "float" };
  }

  #refuse(reason: string, hint: string): never {
    throw new LockstepError("MODEL_INVALID", `${this.#file.source}: ${reason}`, hint);
  }
}

/** What a node that holds a tensor holds. */
function constantIn({ type, attributes: { value } }: OnnxNode): StoredTensor | undefined {
  return type === "Constant" && typeof value === "object" && "shape" in value ? value : undefined;
}

/** Nodes hold the constants of formulas; what is larger than these is a weight that some exporters put there. */
const LARGEST_CONSTANT = 4096;

/**
 * Floats of at least one axis are for training; single numbers are constants, and so are whole numbers, truth values and masks
 * that hold the infinite.
 */
const isTrainable = ({ type, shape, values }: StoredTensor, isNode: boolean): boolean =>
  type === "float" &&
  shape.length > 0 &&
  values.length > (isNode ? LARGEST_CONSTANT : 0) &&
  values.every((value) => Number.isFinite(value));

/** How torch's newer exporter names what is no parameter of the module as it was written: val_83. */
const isNumbered = (name: string): boolean => /^val_\d+$/.test(name);

/**
 * The constants of formulas that torch's newer exporter stores beside the parameters: vectors of one entry, by which it scales the
 * queries and keys of an attention, and what it leaves of a group norm within one, which has scale and shift behind it.
 */
function formulaConstants({ nodes, initialisers }: OnnxFile): ReadonlySet<string> {
  const single = [...initialisers].flatMap(([name, { shape }]) => (shape.length === 1 && shape[0] === 1 ? [name] : []));
  const inner = nodes.flatMap(({ type, inputs }) => (type === "InstanceNormalization" ? inputs.slice(1) : []));
  return new Set([...single, ...inner].filter(isNumbered));
}

/**
 * What an imported file's parameters start from, by name. A vector that has several names, such as scales that were equal when an
 * exporter stored them once, is a parameter under each; a matrix with several is one that is tied.
 */
export function storedParameters(file: OnnxFile): Map<string, StoredParameter> {
  const inNodes = file.nodes.flatMap((node): [string, StoredTensor, boolean][] => {
    const stored = constantIn(node);
    return stored === undefined ? [] : [[node.outputs[0] as string, stored, true]];
  });
  const constants = formulaConstants(file);
  const initialisers = [...file.initialisers].flatMap(([name, stored]) =>
    constants.has(name) ? [] : [[name, stored, false] as const],
  );
  const parameters = [...initialisers, ...inNodes].filter(([, stored, isNode]) => isTrainable(stored, isNode));
  const stored = new Map(
    parameters.map(([name, { shape, values }]) => [name, { shape, values: values as Float32Array }] as const),
  );
  for (const [alias, source] of statisticsIn(file.nodes).aliases) {
    const vector = stored.get(source);
    if (vector?.shape.length === 1) stored.set(alias, vector);
  }
  return stored;
}
