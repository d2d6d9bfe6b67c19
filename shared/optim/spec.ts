/**
 * What a config says about an optimizer, as plain data. Options left out have PyTorch's defaults, which the rules'
 * golden test compares with.
 */

/** Options of every optimizer. */
interface Common {
  readonly learningRate: number;
  /** Scales the mean gradient down to this Euclidean norm where it is longer; absent: never. */
  readonly clipNorm?: number;
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

export type OptimizerSpec = SgdSpec | AdamSpec | RmspropSpec | AdagradSpec;
