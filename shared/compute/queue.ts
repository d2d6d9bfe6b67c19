/** Tasks that are not handed out yet, in the order of their works, and how many of them one thread may do by itself. */
import type { TreeReducer } from "../gradient/reducer.ts";
import type { TreeNode } from "../gradient/tree.ts";
import type { EngineCall, WorkName } from "../protocol/messages.ts";
import type { ComputeTask } from "./task.ts";

/** The sum over one assigned subtree. */
export interface Sum {
  readonly node: TreeNode;
  /** Where it is; the receiver releases it, each time that it is told of a part. */
  readonly buffer: number;
  /** The bytes of it that are there, besides those from `until` on, which were told before. From 0 on, all is. */
  readonly from: number;
  readonly until: number;
  /** Time of computing since the assignment's last sum. */
  readonly computeMicroseconds: number;
  /** Whether the coordinator was told that it is in shared memory. */
  readonly announced: boolean;
  /** Calls of the engine since the assignment's last sum, where the plan asks for them. */
  readonly calls: readonly EngineCall[];
}

export type OnSum = (work: WorkName, sum: Sum) => void;

/** An assignment that is not finished. */
export interface Job {
  readonly work: WorkName;
  readonly reducer: TreeReducer;
  readonly onSum: OnSum;
  /** Into how many it is cut. */
  readonly tasks: number;
  tasksLeft: number;
  microseconds: number;
  /** Since the last sum, as `microseconds`. */
  calls: EngineCall[];
  forgotten: boolean;
}

/** A task that is not handed out. Where it puts its sum is decided when it is. */
export interface Waiting {
  readonly job: Job;
  readonly node: TreeNode;
  readonly task: Omit<ComputeTask, "outputs" | "awaits" | "announcement">;
}

/** Works follow one another: an evaluation comes before the step that is taken with the same parameters. */
export const rankOf = ({ kind, step }: WorkName): number => 2 * step + (kind === "train" ? 1 : 0);

export class TaskQueue {
  #waiting: Waiting[] = [];

  /** The task that is handed out next. */
  get first(): Waiting | undefined {
    return this.#waiting[0];
  }

  /** Behind those of the same work and of earlier ones. */
  add(waiting: Waiting): void {
    const rank = rankOf(waiting.job.work);
    // Mostly behind all, so it is looked for from there.
    const before = this.#waiting.findLastIndex(({ job }) => rankOf(job.work) <= rank);
    this.#waiting.splice(before + 1, 0, waiting);
  }

  /** Leaves out what belongs to forgotten jobs. */
  clean(): void {
    this.#waiting = this.#waiting.filter(({ job }) => !job.forgotten);
  }

  /**
   * Takes the first task and, if it may be in a series, those behind it that may follow: tasks of later works that are one task
   * each. @param mayBeIn whether a task needs nobody but the thread that does it
   */
  takeSeries(mayBeIn: (waiting: Waiting) => boolean): Waiting[] {
    const follows = (waiting: Waiting, index: number): boolean =>
      waiting.job.tasks === 1 &&
      mayBeIn(waiting) &&
      (index === 0 || rankOf(waiting.job.work) > rankOf(this.#waiting[index - 1]!.job.work));
    const end = this.#waiting.findIndex((waiting, index) => !follows(waiting, index));
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(1, end));
  }
}
