/** Threads are ended once their tasks are done, however many there are. */
import { expect, test } from "vitest";
import { threadFile, ThreadPool } from "../../shared/thread-pool.ts";

const file = new URL("../support/sleeping-thread.ts", import.meta.url).href;
const poolOf = (threads: number, tasksPerThread = 1): ThreadPool<number, number> =>
  new ThreadPool({ file, threads, tasksPerThread });

test.for([
  { threads: 1, tasksPerThread: 1, tasks: [50, 60, 70] },
  { threads: 3, tasksPerThread: 1, tasks: [50, 300, 400] },
  { threads: 3, tasksPerThread: 2, tasks: [50, 100, 150, 100, 100, 100, 80] },
])("$threads threads with $tasksPerThread tasks each end all of $tasks", async ({ threads, tasksPerThread, tasks }) => {
  const pool = poolOf(threads, tasksPerThread);
  const running = Promise.all(tasks.map((milliseconds) => pool.run(milliseconds)));
  expect(await Promise.all([running, pool.close()])).toEqual([tasks, undefined]);
});

test("a task that fails is its caller's to know; closing waits for the others", async () => {
  const pool = new ThreadPool<unknown, unknown>({ file, threads: 2 });
  const failing = pool.run(Symbol.iterator);
  const running = pool.run(100);
  await expect(failing).rejects.toThrow("could not be cloned");
  expect(await Promise.all([running, pool.close()])).toEqual([100, undefined]);
});

test("threads that are starting are ended once they have loaded their file", async () => {
  const count = new SharedArrayBuffer(4);
  const slow = new URL("../support/slow-thread.ts", import.meta.url).href;
  const pool = new ThreadPool({ file: slow, threads: 3, workerData: count });
  await pool.close();
  expect(new Int32Array(count)[0]).toBe(3);
});

test("the file of a thread has the ending of the one beside it", () => {
  expect(threadFile("file:///a/crew.ts", "thread")).toBe("file:///a/thread.ts");
  expect(threadFile("file:///a/crew.js", "thread")).toBe("file:///a/thread.js");
});
