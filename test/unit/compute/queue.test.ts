/** The order in which tasks are handed out, and what is handed out together. */
import { expect, it } from "vitest";
import { TaskQueue } from "../../../shared/compute/queue.ts";
import type { OpenWork, PendingTask } from "../../../shared/compute/queue.ts";
import { stepNumber } from "../../../shared/ids.ts";

/** A task of a work of so many; `name` is all that a queue keeps of it. */
const task = (kind: "train" | "evaluate", step: number, tasks: number, name: string): PendingTask & { name: string } =>
  ({ work: { name: { kind, step: stepNumber(step) }, tasks } as OpenWork, name }) as PendingTask & { name: string };

function queueOf(...tasks: readonly PendingTask[]): TaskQueue {
  const queue = new TaskQueue();
  for (const each of tasks) queue.add(each);
  return queue;
}

function names(queue: TaskQueue, mayBeIn: (pending: PendingTask) => boolean): string[][] {
  const taken: string[][] = [];
  while (queue.first !== undefined)
    taken.push(queue.takeSeries(mayBeIn).map((each) => (each as PendingTask & { name: string }).name));
  return taken;
}

it("is that of the works, an evaluation before the step with the same parameters; within a work, that in which they came", () => {
  const queue = queueOf(
    task("train", 2, 2, "second, left"),
    task("train", 1, 2, "first, left"),
    task("train", 2, 2, "second, right"),
    task("evaluate", 2, 1, "evaluation"),
    task("train", 1, 2, "first, right"),
  );
  expect(names(queue, () => true)).toEqual([
    ["first, left"],
    ["first, right"],
    ["evaluation"],
    ["second, left"],
    ["second, right"],
  ]);
});

it("puts tasks of one thread together, up to a work that has several, or one that needs somebody else", () => {
  const tasks = ["a", "b", "c", "d", "e"].map((name, step) => task("train", step, name === "c" ? 2 : 1, name));
  expect(names(queueOf(...tasks), () => true)).toEqual([["a", "b"], ["c"], ["d", "e"]]);
  expect(names(queueOf(...tasks), ({ work }) => work.name.step !== 1)).toEqual([["a"], ["b"], ["c"], ["d", "e"]]);
});
