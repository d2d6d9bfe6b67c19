/** Whether somebody sits before the process: whatever of it is redirected, its terminal can be closed. */
import { isatty } from "node:tty";

/** Asked at once: of a terminal that is closed nobody can tell any more. */
export const hasTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
