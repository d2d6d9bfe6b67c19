/** Tasks that are not handed out yet, in the order of their works, and how many of them one thread may do by itself. */
import type { TreeReducer } from "../gradient/reducer.ts";
import type { TreeNode } from "../gradient/tree.ts";
import type { EngineCall, WorkName } from "../protocol/messages.ts";
import { rankOf } from "../protocol/work-name.ts";
import type { ComputeTask } from "./task.ts";

/** The sum over one assigned subtree. */
export interface Sum {
  readonly node: TreeNode;
  /** Where it is; the receiver releases it, each time that it is told of a part. */
  readonly buffer: number;
  /** The bytes of it that are there, besides those from `until` on, which were told before. From 0 on, all is. */
  readonly from: number;
  readonly until: number;
  /** Time of computing since the work's last sum. */
  readonly computeMicroseconds: number;
  /** Whether the coordinator was told that it is in shared memory. */
  readonly announced: boolean;
  /** Calls of the engine since the work's last sum, where the plan asks for them. */
  readonly calls: readonly EngineCall[];
}

export type OnSum = (work: WorkName, sum: Sum) => void;

/** One work of an assignment, until its last task is done. */
export interface OpenWork {
  readonly name: WorkName;
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
export interface PendingTask {
  readonly work: OpenWork;
  readonly node: TreeNode;
  readonly task: Omit<ComputeTask, "outputs" | "awaits" | "announcement">;
}

export class TaskQueue {
  #pending: PendingTask[] = [];

  /** The task that is handed out next. */
  get first(): PendingTask | undefined {
    return this.#pending[0];
  }

  /** Behind those of the same work and of earlier ones. */
  add(pending: PendingTask): void {
    const rank = rankOf(pending.work.name);
    // Mostly behind all, so it is looked for from there.
    const before = this.#pending.findLastIndex(({ work }) => rankOf(work.name) <= rank);
    this.#pending.splice(before + 1, 0, pending);
  }

  /** Leaves out what belongs to forgotten works. */
  clean(): void {
    this.#pending = this.#pending.filter(({ work }) => !work.forgotten);
  }

  /**
   * Takes the first task and, if it may be in a series, those behind it that may follow: tasks of later works that are one task
   * each. @param mayBeIn whether a task needs nobody but the thread that does it
   */
  takeSeries(mayBeIn: (pending: PendingTask) => boolean): PendingTask[] {
    const follows = (pending: PendingTask, index: number): boolean =>
      pending.work.tasks === 1 &&
      mayBeIn(pending) &&
      (index === 0 || rankOf(pending.work.name) > rankOf(this.#pending[index - 1]!.work.name));
    const end = this.#pending.findIndex((pending, index) => !follows(pending, index));
    return this.#pending.splice(0, end === -1 ? this.#pending.length : Math.max(1, end));
  }
}
