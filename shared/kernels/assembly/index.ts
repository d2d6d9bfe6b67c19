/**
 * The kernels' module (AssemblyScript, compiled by ../build.ts): loops over vectors of float32 in an imported shared
 * memory. ../index.ts says what each does. All offsets are in bytes.
 *
 * The bits are the same on every machine: only IEEE operations of WebAssembly, no relaxed SIMD, and vectors are read
 * four floats at a time with the rest going through the same formula in one lane. The module has no memory of its own,
 * so any number of threads may run it on one memory.
 */
export { add, addFour, clamp, divide, weightedSum, weightedSumOfSquares, divideByRoot } from "./elementwise";
export { descend, descendWithMomentum } from "./descend";
export { descendBySum, descendBySumWithMomentum, wasFinite } from "./descend-by-sum";
export { bytesToUnits } from "./convert";
export { addChecked, addFourChecked, checksum } from "./checksum";
export { pack, unpack } from "./pack";
export { allFinite, sumOfSquares } from "./reduce";
export { dropoutMask } from "./dropout";
