/** A certificate authority for tests and certificates of it, made by the `openssl` command where the system has one. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const command = "openssl";

export const hasOpenssl = ((): boolean => {
  try {
    execFileSync(command, ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  readonly #folder: string;
  readonly #own: Pair;

  /** Makes the authority's own certificate in the folder. */
  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#own = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
    const { cert, key } = this.#own;
    openssl(
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${name} -keyout ${key} -out ${cert}`,
    );
  }

  /** Path of its certificate: what the other side's --tls-ca is given. */
  get ca(): string {
    return this.#own.cert;
  }

  /** A certificate for these names, valid for so many days from now; negative: it has expired. */
  issue(name: string, names = "IP:127.0.0.1,DNS:localhost", days = 2): Pair {
    const at = (extension: string): string => join(this.#folder, `${name}.${extension}`);
    openssl(
      `req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=${name} -keyout ${at("key")} -out ${at("csr")}`,
    );
    writeFileSync(at("ext"), `subjectAltName=${names}\n`);
    const { cert, key } = this.#own;
    openssl(
      `x509 -req -in ${at("csr")} -CA ${cert} -CAkey ${key} -extfile ${at("ext")} -days ${days} -out ${at("pem")}`,
    );
    return { cert: at("pem"), key: at("key") };
  }
}

const openssl = (words: string): Buffer => execFileSync(command, words.split(" "), { stdio: "pipe" });
