/** Where the page begins: one run, or a folder of runs. */
import { h } from "./dom.ts";
import { mark } from "./header.ts";
import { libraryPage } from "./library-page.ts";
import { folderPage, livePage } from "./run-page.ts";

const root = document.querySelector<HTMLElement>("#app")!;
const name = new URLSearchParams(location.search).get("run");

if (document.body.dataset["kind"] === "run") livePage(root);
else if (name === null) void libraryPage(root);
else void folderPage(root, name, h("a", { href: "./", class: "home", title: "All runs" }, mark()));
