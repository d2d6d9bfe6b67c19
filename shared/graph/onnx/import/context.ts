/** What a rule sees of the node it translates: inputs as what it needs them to be, attributes, and a way to say no. */
import { LockstepError } from "../../../errors.ts";
import type { Tensor } from "../../operation.ts";
import { describeShape, type Dim } from "../../values.ts";
import type { NodeAttribute, OnnxNode, StoredTensor } from "../file.ts";
import { isNumbers, type Known, type Value } from "./value.ts";

/** Makes what a node gives from what it is given. */
export type Rule = (node: NodeContext) => Value | readonly Value[];
export type Rules = Readonly<Record<string, Rule>>;

/** What the names of a file stand for. */
export interface Names {
  readonly operatorSet: number;
  /** Samples in a batch that the file was exported for; undefined where it left that open. */
  readonly batch: number | undefined;
  /** The samples' features. */
  readonly data: Tensor;
  /** Whether the file takes them as whole numbers. */
  readonly isDataWhole: boolean;
  /** A tensor: what a file stores becomes a parameter, and numbers a constant. */
  readonly tensor: (name: string) => Tensor;
  /** One that never trains, whatever else the file uses it for. */
  readonly statistic: (name: string) => Tensor;
  /** Numbers that are known by now; `stored`: also those of a parameter. */
  readonly known: (name: string, stored?: boolean) => Known | undefined;
}

export const DAMAGED = "The file is damaged: export it again.";

export class NodeContext {
  readonly #node: OnnxNode;
  readonly #names: Names;

  constructor(node: OnnxNode, names: Names) {
    this.#node = node;
    this.#names = names;
  }

  get operatorSet(): number {
    return this.#names.operatorSet;
  }

  get batch(): number | undefined {
    return this.#names.batch;
  }

  get data(): Tensor {
    return this.#names.data;
  }

  get isDataWhole(): boolean {
    return this.#names.isDataWhole;
  }

  get inputs(): number {
    return this.#node.inputs.length;
  }

  get outputs(): number {
    return this.#node.outputs.filter((name) => name !== "").length;
  }

  has(place: number): boolean {
    return (this.#node.inputs[place] ?? "") !== "";
  }

  tensor(place: number): Tensor {
    return this.#names.tensor(this.#name(place));
  }

  /** A tensor that is not for training, such as the mean a batch norm has seen. */
  statistic(place: number): Tensor {
    return this.#names.statistic(this.#name(place));
  }

  /** What an input is known to be; undefined where it depends on the data or may be trained. */
  known(place: number): Known | undefined {
    return this.#names.known(this.#name(place));
  }

  /** What an input is known to be, a parameter as the file stores it. */
  stored(place: number): Known | undefined {
    return this.#names.known(this.#name(place), true);
  }

  /** Numbers that must be known, in which sizes may depend on the number of samples. */
  dims(place: number, what: string): readonly Dim[] {
    const known = this.stored(place);
    if (known !== undefined) return known.values;
    return this.refuse(
      `its ${what} depends on the data`,
      "Shapes must follow from the sizes of a sample: export the model with these fixed.",
    );
  }

  numbers(place: number, what: string): readonly number[] {
    const values = this.dims(place, what);
    if (isNumbers(values)) return values;
    return this.refuse(
      `its ${what} depends on the number of samples`,
      "Samples stay the first axis, and whole: export the model with the batch in front.",
    );
  }

  number(name: string, usual: number): number {
    const value = this.#attribute(name);
    return value === undefined ? usual : typeof value === "number" ? value : this.#wrong(name, value);
  }

  list(name: string): readonly number[] | undefined {
    const value = this.#attribute(name);
    if (value === undefined) return undefined;
    return Array.isArray(value) ? (value as readonly number[]) : this.#wrong(name, value);
  }

  text(name: string, usual: string): string {
    const value = this.#attribute(name);
    return value === undefined ? usual : typeof value === "string" ? value : this.#wrong(name, value);
  }

  storedAttribute(name: string): StoredTensor | undefined {
    const value = this.#attribute(name);
    if (value === undefined) return undefined;
    return typeof value === "object" && "shape" in value ? value : this.#wrong(name, value);
  }

  /** An axis counted from the front. */
  axis(axis: number, rank: number): number {
    const at = axis < 0 ? axis + rank : axis;
    return at >= 0 && at < rank ? at : this.refuse(`it has an axis ${axis}, its input has ${rank}`, DAMAGED);
  }

  refuse(reason: string, hint: string): never {
    throw new LockstepError("MODEL_INVALID", reason, hint);
  }

  /** Says no to what an attribute asks for. */
  without(name: string, isAsked: boolean, hint: string): void {
    if (isAsked)
      this.refuse(`its ${name} is ${JSON.stringify(this.#attribute(name))}, which Lockstep does not know`, hint);
  }

  #name(place: number): string {
    return this.#node.inputs[place] || this.refuse(`it has no input ${place}`, DAMAGED);
  }

  #attribute(name: string): NodeAttribute | undefined {
    return Object.hasOwn(this.#node.attributes, name) ? this.#node.attributes[name] : undefined;
  }

  #wrong(name: string, value: NodeAttribute): never {
    return this.refuse(`its ${name} is ${JSON.stringify(value).slice(0, 60)}`, DAMAGED);
  }
}

/** [samples, 3, 224, 224] of a tensor. */
export const shapeOf = ({ shape }: Tensor): string => describeShape(shape);
