/** How a person runs Lockstep from where it lies: hints that are typed as they stand must work. */

const isCheckout = import.meta.url.endsWith(".ts");

/** A command line for `lockstep ARGS`: in a checkout the package's own script, elsewhere the installed command. */
export const commandLine = (args: string): string => `${isCheckout ? "npm run lockstep --" : "npx lockstep"} ${args}`;
