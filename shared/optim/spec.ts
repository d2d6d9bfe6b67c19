/**
 * What a config says about an optimizer, as plain data. Options left out have PyTorch's defaults, which the rules'
 * golden test compares with.
 */

/** Options of every optimizer. */
interface Common {
  readonly learningRate: number;
  /** Scales the mean gradient down to this Euclidean norm where it is longer; absent: never. */
  readonly clipNorm?: number;
  /** Cuts each entry of the mean gradient to −clipValue … clipValue; absent: never. */
  readonly clipValue?: number;
}

export interface SgdSpec extends Common {
  readonly kind: "sgd";
  /** Share of the last step that is carried on, 0 ≤ momentum < 1 (0). */
  readonly momentum?: number;
  /** Look ahead along the momentum (false). */
  readonly nesterov?: boolean;
  /** Added to the gradient as weightDecay · θ, before momentum (0). */
  readonly weightDecay?: number;
}

export interface AdamSpec extends Common {
  /** In `adam` the decay is coupled: added to the gradient (0). In `adamw` it acts on θ directly (0.01). */
  readonly kind: "adam" | "adamw";
  /** How slowly the mean of gradients forgets (0.9). */
  readonly beta1?: number;
  /** How slowly the mean of squared gradients forgets (0.999). */
  readonly beta2?: number;
  /** Keeps the divisor from zero (1e-8). */
  readonly epsilon?: number;
  readonly weightDecay?: number;
}

export interface RmspropSpec extends Common {
  readonly kind: "rmsprop";
  /** How slowly the mean of squared gradients forgets (0.99). */
  readonly alpha?: number;
  /** Keeps the divisor from zero (1e-8). */
  readonly epsilon?: number;
  /** Share of the last step that is carried on (0). */
  readonly momentum?: number;
  /** Added to the gradient as weightDecay · θ (0). */
  readonly weightDecay?: number;
}

export interface AdagradSpec extends Common {
  readonly kind: "adagrad";
  /** Keeps the divisor from zero (1e-10). */
  readonly epsilon?: number;
  /** Added to the gradient as weightDecay · θ (0). */
  readonly weightDecay?: number;
}

/** Adam's update of each tensor, scaled to the length of the tensor itself (You et al. 2020): for large batches. */
export interface LambSpec extends Common {
  readonly kind: "lamb";
  /** How slowly the mean of gradients forgets (0.9). */
  readonly beta1?: number;
  /** How slowly the mean of squared gradients forgets (0.999). */
  readonly beta2?: number;
  /** Keeps the divisor from zero (1e-6). */
  readonly epsilon?: number;
  /** Added to Adam's update as weightDecay · θ, before it is scaled (0.01). */
  readonly weightDecay?: number;
}

/** Parameters that are trained in another way than the rest. The last group that names a parameter decides, option by option. */
export interface ParameterGroup {
  /**
   * Names, in which * stands for any characters, such as "*.bias"; or `vectors`: all of one dimension, which are the biases
   * and the weights of normalisations.
   */
  readonly parameters: string | readonly string[];
  /** In place of the optimizer's. */
  readonly weightDecay?: number;
  /** The run's learning rate is multiplied by it (1). */
  readonly learningRateFactor?: number;
  /** They keep their bits (false). */
  readonly frozen?: boolean;
}

export type OptimizerSpec = SgdSpec | AdamSpec | RmspropSpec | AdagradSpec | LambSpec;
