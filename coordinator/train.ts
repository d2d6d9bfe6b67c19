/** \`train\` as a function: the same runs as the command's, from TypeScript. */
