/**
 * Flags that commands share. `train` and `coordinator`: those that stand for config values. These and `worker`: those of the log.
 * `health` and `doctor`: those of the connection.
 */
import type { Command } from "commander";
import type { LogFlags } from "../../shared/log.ts";
import type { ConfigFlags } from "../config/flags.ts";

export interface RunFlags extends ConfigFlags, LogFlags {
  /** true: without a name, the run written to last. */
  readonly resume?: string | true;
  readonly continue?: boolean;
  /** true: in the run folder. */
  readonly trace?: string | true;
}

/** Values stay text here: the config's schema says what is wrong with them, as it does for a file. */
export function addRunOptions(command: Command): Command {
  command
    .argument("[config]", "config file (YAML); flags win over it; `lockstep init` writes one")
    .option(
      "--data <source>",
      "mnist, a folder with the four MNIST-named IDX files, or FILE.csv (label in the first column)",
    )
    .option("--layers <sizes>", "dense layers with relu between them: inputs, hidden layers, outputs (784,64,10)")
    .option("--weights <file>", "safetensors file that the parameters start from, by name")
    .option("--optimizer <name>", "sgd, adam, adamw, lamb, rmsprop or adagrad (sgd)")
    .option(
      "--learning-rate <number>",
      "learning rate (0.05; with --optimizer adam, adamw, lamb 0.001, rmsprop, adagrad 0.01, sgd 0.1)",
    )
    .option("--momentum <number>", "momentum of sgd or rmsprop (0.9; with --optimizer 0)")
    .option("--schedule <name>", "of the learning rate: constant, cosine, oneCycle, polynomial or plateau (constant)")
    .option("--warm-up <epochs>", "epochs over which the learning rate grows to its value (0)")
    .option(
      "--average <share>",
      "the model in the end is a moving average of the weights, which keeps this share of itself at each step, as in 0.999",
    )
    .option("--batch <samples>", "samples in a minibatch over all workers (128)")
    .option("--accumulate <batches>", "minibatches whose gradients are added up for one step (1)")
    .option("--shards <number>", "parts a minibatch is cut into; part of the result, unlike workers (8)")
    .option("--epochs <number>", "passes over the training data (20)")
    .option(
      "--stop-early <epochs>",
      "stop after so many epochs without an improvement of the test loss (or `monitor` in a config), and keep the best model",
    )
    .option("--seed <number>", "decides initial parameters, order of samples and dropout (1)")
    .option("--name <name>", "name of the run (after the data: mnist-1, mnist-2, …)")
    .option("--runs <folder>", "folder of run folders (runs)")
    .option("--resume [name]", "continue this run, or the one written to last, to the bits of an uninterrupted run")
    .option("--continue", "resume the run --name if it exists, else start it: the same command after any crash")
    .option("--audit <share>", "share of the gradients that a second worker computes too, as in 0.02 (0)")
    .option("--exact <on|off>", "off admits workers whose arithmetic differs in the last bit (on)")
    .option("--shared-memory <on|off>", "off sends everything over sockets, also to workers of this host (on)")
    .option("--tensorboard", "also write the curves as event files for TensorBoard, into the run folder")
    .option(
      "--trace [file]",
      "write what each thread does in every step, for Perfetto or chrome://tracing (trace.json in the run folder)",
    )
    .option("--host <address>", "address to listen at (127.0.0.1)")
    .option("--port <number>", "port to listen at; 0: any free one (0)")
    .option("--token-file <file>", "file with the join token that workers must know (the variable LOCKSTEP_TOKEN)")
    .option("--tls-cert <file>", "certificate (PEM) to listen with TLS: workers connect to wss://")
    .option("--tls-key <file>", "key (PEM) of that certificate")
    .option("--tls-ca <file>", "only workers with a certificate of this CA (PEM) may connect")
    .option("--max-connections <number>", "connections at a time (1024)")
    .option("--insecure", "allow a host other than loopback without a join token: anyone may join");
  return command;
}

/** @param otherwise which format is the default */
export const addLogOptions = (command: Command, otherwise: string): Command =>
  command
    .option("--log <format>", `pretty: sentences; json: one JSON object a line (LOCKSTEP_LOG; ${otherwise})`)
    .option("--log-level <level>", "debug: each step too; info; warn: what goes wrong (LOCKSTEP_LOG_LEVEL; info)");

export interface ProbeFlags {
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

export const addProbeOptions = (command: Command): Command =>
  command
    .option("--tls-ca <file>", "certificate (PEM) of the CA that the coordinator's must lead to (those Node knows)")
    .option("--tls-cert <file>", "certificate (PEM) for coordinators that want one")
    .option("--tls-key <file>", "key (PEM) of that certificate");
