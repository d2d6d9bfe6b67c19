/**
 * The certificate of a coordinator that may run for longer than it is valid. Whoever renews it writes the same files anew, as certbot
 * and Kubernetes do; they are looked at every now and then, and connections from then on get the new one.
 */
import { statSync } from "node:fs";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import { readTls, type TlsFiles, type TlsMaterial } from "../../shared/tls.ts";

const LOOK_EVERY = 30_000;

export interface Watching {
  readonly onRenewed: (material: TlsMaterial) => void;
  /** Hears why the new files cannot be used, once; the old ones stay in use. */
  readonly onFailure: (error: LockstepError) => void;
  /** Milliseconds. */
  readonly every?: number;
}

export class Certificate {
  readonly material: TlsMaterial;
  readonly #files: TlsFiles;
  /** Of the files as they were when they were read last. */
  #stamp: string;

  /** Throws TLS_INVALID. */
  constructor(files: TlsFiles) {
    this.#files = files;
    // Before they are read: what is written meanwhile is found at the next look.
    this.#stamp = stampOf(files);
    this.material = readTls(files, new Date());
  }

  /** @returns what ends it */
  watch({ onRenewed, onFailure, every = LOOK_EVERY }: Watching): () => void {
    let before = this.#stamp;
    const look = (): void => {
      const stamp = stampOf(this.#files);
      // Certificate and key are not written at once: they are read when they have stayed as they are from one look to the next.
      const isSettled = stamp === before;
      before = stamp;
      if (!isSettled || stamp === this.#stamp) return;
      this.#stamp = stamp;
      try {
        onRenewed(readTls(this.#files, new Date()));
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        onFailure(error);
      }
    };
    const timer = setInterval(look, every).unref();
    return () => clearInterval(timer);
  }
}

/** Changes when one of the files does. What is no file, such as a pipe that a shell made, can be read only once. */
const stampOf = ({ cert, key, ca }: TlsFiles): string =>
  [cert, key, ca]
    .map((path) => {
      if (path === undefined) return "";
      try {
        const found = statSync(path);
        return found.isFile() ? `${found.ino} ${found.size} ${found.mtimeMs}` : "";
      } catch (error) {
        return String(errnoOf(error));
      }
    })
    .join(", ");
