/** Part of the build: what the page has besides its modules goes into the package as it is. */
import { copyFileSync, mkdirSync } from "node:fs";

const from = new URL("page/", import.meta.url);
const to = new URL("../../dist/coordinator/dashboard/page/", import.meta.url);
mkdirSync(to, { recursive: true });
for (const file of ["index.html", "style.css"]) copyFileSync(new URL(file, from), new URL(file, to));
