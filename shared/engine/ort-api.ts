/**
 * The part of onnxruntime's C library that an engine needs. The package onnxruntime-node brings the library; but its own `run`
 * copies every output into new memory afterwards, also one that was written where it was wanted (`OrtValueToNapiValue` in its
 * tensor_helper.cc), and waits for a turn of the event loop before.
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import koffi from "koffi";
import type { LibraryHandle } from "koffi";

/** An address: of something of the library's, or of bytes of ours. */
export type Pointer = bigint;

/** Names and tensors of as many inputs or outputs: pointers to them, in memory that does not move. */
interface Bound {
  readonly names: BigUint64Array;
  readonly tensors: BigUint64Array;
}

/**
 * The functions that are used, by their names in the table OrtApi of onnxruntime_c_api.h: their places in it, which only ever
 * grows, and their types.
 */
const declarations = {
  GetErrorMessage: [2, "const char *(void *status)"],
  CreateEnv: [3, "void *(int level, const char *name, _Out_ void **environment)"],
  CreateSessionFromArray: [
    8,
    "void *(void *environment, void *model, size_t bytes, void *options, _Out_ void **session)",
  ],
  Run: [
    9,
    "void *(void *session, void *options, void *inputNames, void *inputs, size_t inputCount, void *outputNames, size_t outputCount, void *outputs)",
  ],
  CreateSessionOptions: [10, "void *(_Out_ void **options)"],
  SetSessionExecutionMode: [13, "void *(void *options, int mode)"],
  SetSessionGraphOptimizationLevel: [23, "void *(void *options, int level)"],
  SetIntraOpNumThreads: [24, "void *(void *options, int threads)"],
  SetInterOpNumThreads: [25, "void *(void *options, int threads)"],
  CreateTensorWithDataAsOrtValue: [
    49,
    "void *(void *memory, void *data, size_t bytes, void *shape, size_t rank, int type, _Out_ void **tensor)",
  ],
  CreateCpuMemoryInfo: [69, "void *(int allocator, int kind, _Out_ void **memory)"],
  ReleaseStatus: [93, "void (void *status)"],
  ReleaseSession: [95, "void (void *session)"],
  ReleaseValue: [96, "void (void *tensor)"],
  ReleaseSessionOptions: [100, "void (void *options)"],
} as const satisfies Record<string, readonly [number, string]>;

type Given = Pointer | ArrayBufferView | string | number | null | (Pointer | null)[];
type OrtApi = Readonly<Record<keyof typeof declarations, (...given: Given[]) => unknown>>;

/** The table's first version has all of them. */
const TABLE_VERSION = 1;
const POINTER_BYTES = 8;

// Members of the same header's enumerations.
const ORT_LOGGING_LEVEL_WARNING = 2;
const ORT_SEQUENTIAL = 0;
const ORT_DISABLE_ALL = 0;
const ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1;
const ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 = 6;
const OrtDeviceAllocator = 0;
const OrtMemTypeDefault = 0;

export const addressOf = (bytes: ArrayBufferView): Pointer => koffi.address(bytes);

export class OnnxRuntime {
  readonly version: string;
  /** Held, because a library that nobody holds is unloaded. */
  readonly #library: LibraryHandle;
  readonly #ort: OrtApi;
  readonly #environment: Pointer;
  readonly #memory: Pointer;
  /** A tensor is only a few words over an array; it goes when the array does. */
  readonly #tensors: FinalizationRegistry<Pointer>;

  constructor() {
    refuseTelemetry();
    this.#library = koffi.load(libraryFile());
    const base = this.#library.func("void *OrtGetApiBase()")() as Pointer;
    const table = functionAt(base, 0, "void *(uint32_t version)")(TABLE_VERSION) as Pointer;
    this.version = functionAt(base, 1, "const char *()")() as string;
    this.#ort = Object.fromEntries(
      Object.entries(declarations).map(([name, [index, type]]) => [name, functionAt(table, index, type)]),
    ) as OrtApi;
    const ort = this.#ort;
    this.#environment = this.#made((out) => ort.CreateEnv(ORT_LOGGING_LEVEL_WARNING, "lockstep", out));
    this.#memory = this.#made((out) => ort.CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, out));
    this.#tensors = new FinalizationRegistry((tensor) => ort.ReleaseValue(tensor));
  }

  /** A session of an ONNX file's bytes. Throws what the library says is wrong with it. */
  sessionOf(model: Uint8Array): Pointer {
    const ort = this.#ort;
    const options = this.#made((out) => ort.CreateSessionOptions(out));
    this.#check(ort.SetSessionExecutionMode(options, ORT_SEQUENTIAL));
    // A fusion that fires in one program and not in another would change bits.
    this.#check(ort.SetSessionGraphOptimizationLevel(options, ORT_DISABLE_ALL));
    // With more, the bits of the forward pass change.
    this.#check(ort.SetIntraOpNumThreads(options, 1));
    this.#check(ort.SetInterOpNumThreads(options, 1));
    try {
      return this.#made((out) => ort.CreateSessionFromArray(this.#environment, model, model.byteLength, options, out));
    } finally {
      ort.ReleaseSessionOptions(options);
    }
  }

  /** A tensor that is an array: nothing is copied. */
  tensorOver(array: Float32Array | Int32Array, shape: readonly number[]): Pointer {
    const type =
      array instanceof Float32Array ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT : ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    const dimensions = BigInt64Array.from(shape, BigInt);
    const tensor = this.#made((out) =>
      this.#ort.CreateTensorWithDataAsOrtValue(
        this.#memory,
        array,
        array.byteLength,
        dimensions,
        shape.length,
        type,
        out,
      ),
    );
    this.#tensors.register(array, tensor);
    return tensor;
  }

  /** Blocks the thread until the outputs are written. */
  run(session: Pointer, inputs: Bound, outputs: Bound): void {
    const { names, tensors } = inputs;
    this.#check(
      this.#ort.Run(session, null, names, tensors, names.length, outputs.names, outputs.names.length, outputs.tensors),
    );
  }

  release(session: Pointer): void {
    this.#ort.ReleaseSession(session);
  }

  #made(make: (out: (Pointer | null)[]) => unknown): Pointer {
    const out: (Pointer | null)[] = [null];
    this.#check(make(out));
    return out[0]!;
  }

  #check(status: unknown): void {
    if (status === null) return;
    const message = this.#ort.GetErrorMessage(status as Pointer) as string;
    this.#ort.ReleaseStatus(status as Pointer);
    throw new Error(message);
  }
}

/**
 * The library tells its maker of sessions, models and errors, and keeps an identifier of the device in the user's cache folder
 * (onnxruntime's docs/Privacy.md), unless this is set before it is loaded, in the environment of the process: a thread's
 * `process.env` is a copy. What the user has set stays. On Windows it tells the system's own tracing alone.
 */
function refuseTelemetry(): void {
  if (process.platform === "win32") return;
  const set = koffi.load(null).func("int setenv(const char *name, const char *value, int overwrite)");
  set("ORT_DISABLE_TELEMETRY", "1", 0);
}

function functionAt(table: Pointer, index: number, type: string): (...given: Given[]) => unknown {
  const pointer = koffi.decode(table, index * POINTER_BYTES, "void *") as Pointer;
  return koffi.decode(pointer, koffi.proto(type)) as (...given: Given[]) => unknown;
}

function libraryFile(): string {
  const home = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  const folder = join(home, "bin", "napi-v6", process.platform, process.arch);
  const file = readdirSync(folder).find((name) => /^(lib)?onnxruntime(\.so|\.dll$|[.\d]+dylib$)/.test(name));
  if (file === undefined) throw new Error(`there is no library of onnxruntime in ${folder}`);
  return join(folder, file);
}

let loaded: OnnxRuntime | undefined;

/** The library, loaded once a thread. */
export const onnxRuntime = (): OnnxRuntime => (loaded ??= new OnnxRuntime());
