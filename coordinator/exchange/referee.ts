/**
 * The coordinator's own engine: computes a subtree where two workers differ or where there is only one to ask. It is started
 * with the first question, on a thread of its own, and can tell only if its arithmetic is the run's.
 */
import type { ComputePool } from "../../shared/compute/pool.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import type { Work } from "../core/state.ts";

export interface Referee {
  /**
   * The bytes of the sum over a node of the open work, or undefined if the arithmetic here has another fingerprint.
   * Rejects with what is wrong if the engine cannot be started or cannot compute it; the next question starts another engine.
   * @param parameters the current ones; copied at once
   */
  sumOver(
    work: Work,
    node: TreeNode,
    parameters: Uint8Array,
    fingerprint: string | undefined,
  ): Promise<Uint8Array | undefined>;
  /** Waits for what is being computed, then ends the thread. */
  close(): Promise<void>;
}

/** Starts the engine, which tells `onFailure` of what it could not compute; may throw a LockstepError. */
type OpenPool = (onFailure: (error: unknown) => void) => ComputePool;

export class EngineReferee implements Referee {
  readonly #open: OpenPool;
  #pool: ComputePool | undefined;
  /** Ends the question that is being answered. */
  #fail: (error: unknown) => void = () => {};
  /** One question at a time: the pool holds the parameters of one. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(open: OpenPool) {
    this.#open = open;
  }

  sumOver(
    work: Work,
    node: TreeNode,
    parameters: Uint8Array,
    fingerprint: string | undefined,
  ): Promise<Uint8Array | undefined> {
    const copy = Uint8Array.from(parameters);
    const answer = this.#last.then(() => this.#compute(work, node, copy, fingerprint));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #compute(
    work: Work,
    node: TreeNode,
    parameters: Uint8Array,
    fingerprint: string | undefined,
  ): Promise<Uint8Array | undefined> {
    const pool = (this.#pool ??= this.#open((error) => this.#fail(error)));
    try {
      if ((await pool.fingerprint()) !== fingerprint) return undefined;
      return await this.#sumIn(pool, work, node, parameters);
    } catch (error) {
      // A sample that cannot be read, or no memory: with other threads it may be there again.
      this.#pool = undefined;
      await pool.close();
      throw error;
    }
  }

  #sumIn(
    pool: ComputePool,
    { name, epoch, offset, samples, shards }: Work,
    node: TreeNode,
    parameters: Uint8Array,
  ): Promise<Uint8Array> {
    pool.memory.parametersOf(name.step).set(parameters);
    pool.arrived(name.step);
    const nodes = [[node.start, node.end]] as const;
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      const assignment = { work: name, works: 1, epoch, offset, samples, shards, nodes };
      pool.compute({ type: "assignment", ...assignment }, (_work, { buffer }) => {
        resolve(Uint8Array.from(pool.memory.bytesOf(name.kind, buffer)));
        pool.release(name.kind, buffer);
      });
    });
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#pool?.close();
  }
}
