/** A thread for tests: waits without returning to its event loop, as one inside the engine does, and answers how long it was. */
export default (milliseconds: number): number => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  return milliseconds;
};
