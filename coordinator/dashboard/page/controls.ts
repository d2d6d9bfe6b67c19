/** What an operator may do to a run that goes on. Whoever may only look is told how to become one. */
import { ask, AskFailed } from "./api.ts";
import { h } from "./dom.ts";
import type { RunState } from "./messages.ts";

export class Controls {
  readonly element = h("div", { class: "controls" });
  readonly #say: (sentence: string, isBad: boolean) => void;
  readonly #pause = button("Pause", "Finish the open step and take no further one", () =>
    this.#command(this.#isPaused ? "resume" : "pause"),
  );
  readonly #save = button("Checkpoint now", "Write a checkpoint of the current parameters", () =>
    this.#command("checkpoint"),
  );
  readonly #stop = button("Stop…", "Finish the open step, write a checkpoint and end the run", () =>
    this.#stopDialog.showModal(),
  );
  readonly #unlock = button("Log in to steer…", "The join token lets you pause, save and stop", () =>
    this.#loginDialog.showModal(),
  );
  readonly #stopDialog = this.#confirmation();
  readonly #loginDialog = this.#login();
  #isPaused = false;

  /** @param say shows a sentence for a while */
  constructor(say: (sentence: string, isBad: boolean) => void) {
    this.#say = say;
    this.element.append(this.#pause, this.#save, this.#stop, this.#unlock, this.#stopDialog, this.#loginDialog);
  }

  show(state: RunState, mayCommand: boolean): void {
    const isOpen = ["waiting", "running", "paused"].includes(state);
    this.#isPaused = state === "paused";
    this.#pause.textContent = this.#isPaused ? "Resume" : "Pause";
    for (const each of [this.#pause, this.#save, this.#stop]) each.hidden = !isOpen || !mayCommand;
    this.#unlock.hidden = !isOpen || mayCommand;
  }

  async #command(command: string): Promise<void> {
    try {
      await ask(`api/${command}`, { method: "POST" });
    } catch (error) {
      if (!(error instanceof AskFailed)) throw error;
      this.#say(error.message, true);
    }
  }

  #confirmation(): HTMLDialogElement {
    const dialog = h("dialog", { "aria-label": "Stop the run" });
    const stop = h(
      "button",
      { type: "button", class: "danger", onclick: () => (dialog.close(), void this.#command("stop")) },
      "Stop the run",
    );
    const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Go on training");
    dialog.append(
      h("h2", {}, "Stop this run?"),
      h(
        "p",
        {},
        "The open step is finished and a checkpoint is written. It goes on from there, to the same bits, with --resume.",
      ),
      h("div", { class: "dialog-buttons" }, cancel, stop),
    );
    return dialog;
  }

  #login(): HTMLDialogElement {
    const dialog = h("dialog", { "aria-label": "Log in" });
    const token = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true });
    const problem = h("p", { class: "problem", role: "alert" });
    const send = async (event: Event): Promise<void> => {
      event.preventDefault();
      const body = new URLSearchParams({ token: token.value });
      const response = await fetch("login", { method: "POST", body }).catch(() => undefined);
      if (response?.ok === true) location.reload();
      else if (response?.status === 401)
        problem.textContent = "That token is wrong, or too many wrong ones came: wait a minute then.";
      else problem.textContent = "This run has no token: it is steered from its own machine only.";
    };
    dialog.append(
      h("h2", {}, "Log in with the join token"),
      h(
        "form",
        { onsubmit: (event) => void send(event) },
        h("label", {}, "Join token ", token),
        problem,
        h(
          "div",
          { class: "dialog-buttons" },
          h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
          h("button", { class: "primary" }, "Log in"),
        ),
      ),
    );
    return dialog;
  }
}

function button(text: string, title: string, action: () => unknown): HTMLButtonElement {
  return h("button", { type: "button", title, onclick: () => void action() }, text);
}
