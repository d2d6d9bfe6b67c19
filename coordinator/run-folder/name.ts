/** What a run may be called: the name of a folder everywhere, and of a container. */
export const runName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
export const runNameRule = "letters, digits, '.', '_' and '-', starting with a letter or digit, 100 at most";
