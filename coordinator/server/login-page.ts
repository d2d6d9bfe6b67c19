/** The page that a browser without a token sees. It works without scripts. */

const sentences = {
  wrong: "That is neither the run's join token nor the reader's token.",
  wait: "Too many wrong tokens came from your address: wait a minute.",
};

/**
 * @param path where it is shown: it finds its way from there also below a proxy's path
 * @param problem why there was no login, if there was an attempt
 */
export const loginPage = (path: string, problem?: keyof typeof sentences): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Lockstep</title>
<h1>Lockstep</h1>
<form method="post" action="${"../".repeat(path.split("/").length - 2)}login">
  <p><label>Join token or reader's token <input type="password" name="token" autocomplete="current-password" required autofocus></label>
  <button>Log in</button></p>${problem === undefined ? "" : `\n  <p role="alert">${sentences[problem]}</p>`}
  <p>The reader's token lets you look; the join token also lets you pause, save and stop.
  <code>lockstep token --reader</code> prints the one that belongs to the other.</p>
</form>
</html>
`;
