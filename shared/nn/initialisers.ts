/** Where parameters start: a pure function of the run's seed, the parameter's number and the entry's index. */
import type { RandomStream } from "../random.ts";

interface Fans {
  /** Inputs of one output. */
  readonly fanIn: number;
  /** Outputs of one input. */
  readonly fanOut: number;
}
type Rule = (stream: RandomStream, fans: Fans) => (index: number) => number;

export const initialisers = {
  /** Normal with variance 2/(in + out): Glorot and Bengio, 2010, the normal form. */
  xavier: (stream, { fanIn, fanOut }) => {
    const deviation = Math.sqrt(2 / (fanIn + fanOut));
    return (index) => stream.normal(index) * deviation;
  },
  /** Uniform within ±√(6/(in + out)): Glorot and Bengio, 2010. */
  glorotUniform: (stream, { fanIn, fanOut }) => {
    const limit = Math.sqrt(6 / (fanIn + fanOut));
    return (index) => (2 * stream.uniform(index) - 1) * limit;
  },
  /** Normal with variance 2/in, for ReLU: He et al., 2015. */
  he: (stream, { fanIn }) => {
    const deviation = Math.sqrt(2 / fanIn);
    return (index) => stream.normal(index) * deviation;
  },
  /** Normal with deviation 0.02: what GPT-2 starts embeddings from (Radford et al., 2019). */
  normal: (stream) => (index) => stream.normal(index) * 0.02,
  ones: () => () => 1,
  zeros: () => () => 0,
} as const satisfies Record<string, Rule>;

export type Initialiser = keyof typeof initialisers;
