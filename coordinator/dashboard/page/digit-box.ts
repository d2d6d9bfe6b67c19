/**
 * A box to draw a digit in, and what the network says to it with its parameters of this moment. What is drawn is scaled and
 * centred as the images of MNIST are: the longer side 20 of 28 pixels, the centre of mass in the middle.
 */
import { percent } from "../../cli/format.ts";
import { AskFailed, askJson } from "./api.ts";
import { card, h, setText } from "./dom.ts";

const SIZE = 224;
const PEN = 18;
/** The share of the image that a digit's longer side takes. */
const FILLED = 20 / 28;
const ASK_EVERY = 300;

export class DigitCard {
  readonly element: HTMLElement;
  readonly #canvas = h("canvas", {
    width: SIZE,
    height: SIZE,
    tabindex: 0,
    "aria-label": "Draw a digit: with a finger or the mouse, or with the arrow keys while the space bar is held",
  });
  readonly #context = this.#canvas.getContext("2d", { willReadFrequently: true })!;
  readonly #bars = h("ol", { class: "classes" });
  readonly #answer = h("p", { class: "answer", role: "status" }, "Draw a digit.");
  readonly #side: number;
  readonly #query: string;
  #pen = { x: SIZE / 2, y: SIZE / 2, isDown: false };
  #asking = false;
  #isDirty = false;
  #isEmpty = true;

  /** @param query what the address of a question begins with */
  constructor(side: number, query = "api/predict?") {
    this.#side = side;
    this.#query = query;
    const clear = h("button", { type: "button", class: "small", onclick: () => this.#clear() }, "Clear");
    this.element = card(
      "Try it",
      "digit",
      [clear],
      h("div", { class: "digit-body" }, this.#canvas, h("div", {}, this.#answer, this.#bars)),
    );
    this.#context.lineWidth = PEN;
    this.#context.lineCap = this.#context.lineJoin = "round";
    this.#context.strokeStyle = "#fff";
    this.#clear();
    this.#listen();
  }

  #listen(): void {
    const canvas = this.#canvas;
    const place = (event: PointerEvent): { x: number; y: number } => {
      const scale = SIZE / canvas.clientWidth;
      return { x: event.offsetX * scale, y: event.offsetY * scale };
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#pen = { ...place(event), isDown: true };
      this.#lineTo(this.#pen);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.#pen.isDown) this.#lineTo(place(event));
    });
    for (const end of ["pointerup", "pointercancel"] as const)
      canvas.addEventListener(end, () => (this.#pen.isDown = false));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("keyup", (event) => {
      if (event.key === " ") this.#pen.isDown = false;
    });
  }

  #key(event: KeyboardEvent): void {
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-8, 0],
      ArrowRight: [8, 0],
      ArrowUp: [0, -8],
      ArrowDown: [0, 8],
      " ": [0, 0],
    };
    const move = moves[event.key];
    if (event.key === "Escape") this.#clear();
    if (move === undefined) return;
    event.preventDefault();
    if (event.key === " ") this.#pen.isDown = true;
    const within = (value: number): number => Math.min(SIZE - PEN / 2, Math.max(PEN / 2, value));
    const next = { x: within(this.#pen.x + move[0]), y: within(this.#pen.y + move[1]) };
    if (this.#pen.isDown) this.#lineTo(next);
    else this.#pen = { ...next, isDown: false };
  }

  #lineTo({ x, y }: { readonly x: number; readonly y: number }): void {
    this.#context.beginPath();
    this.#context.moveTo(this.#pen.x, this.#pen.y);
    this.#context.lineTo(x, y);
    this.#context.stroke();
    this.#pen = { x, y, isDown: true };
    this.#isEmpty = false;
    this.refresh();
  }

  #clear(): void {
    this.#context.fillStyle = "#000";
    this.#context.fillRect(0, 0, SIZE, SIZE);
    this.#isEmpty = true;
    setText(this.#answer, "Draw a digit.");
    this.#bars.replaceChildren();
  }

  /** Asks about what is drawn, at once or when the question before it is answered. */
  refresh(): void {
    this.#isDirty = true;
    if (!this.#asking) void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    while (this.#isDirty && !this.#isEmpty) {
      this.#isDirty = false;
      try {
        const bytes = centred(this.#context, this.#side);
        const pixels = encodeURIComponent(btoa(String.fromCharCode(...bytes)));
        this.#show(await askJson<number[]>(`${this.#query}pixels=${pixels}`));
      } catch (error) {
        if (!(error instanceof AskFailed)) throw error;
        setText(this.#answer, error.message);
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY));
    }
    this.#asking = false;
  }

  #show(probabilities: readonly number[]): void {
    if (this.#isEmpty) return;
    const best = probabilities.indexOf(Math.max(...probabilities));
    setText(this.#answer, `It is a ${best} (${percent(probabilities[best]!, 1)}).`);
    if (this.#bars.children.length !== probabilities.length)
      this.#bars.replaceChildren(
        ...probabilities.map((_, digit) =>
          h(
            "li",
            {},
            h("span", {}, String(digit)),
            h("progress", { max: 1, "aria-label": `probability of ${digit}` }),
            h("b"),
          ),
        ),
      );
    probabilities.forEach((probability, digit) => {
      const bar = this.#bars.children[digit]!;
      bar.className = digit === best ? "is-best" : "";
      bar.querySelector("progress")!.value = probability;
      setText(bar.querySelector("b")!, percent(probability, probability < 0.1 ? 1 : 0));
    });
  }
}

/** What is drawn, as grey bytes of an image of `side` × `side` pixels. */
function centred(context: CanvasRenderingContext2D, side: number): Uint8Array {
  const { data } = context.getImageData(0, 0, SIZE, SIZE);
  const box = { left: SIZE, right: 0, top: SIZE, bottom: 0 };
  let [mass, massX, massY] = [0, 0, 0];
  for (let y = 0; y < SIZE; y++)
    for (let x = 0; x < SIZE; x++) {
      const value = data[4 * (y * SIZE + x)]!;
      if (value === 0) continue;
      mass += value;
      massX += value * (x + 0.5);
      massY += value * (y + 0.5);
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y + 1);
    }
  const scale = (FILLED * side) / Math.max(box.right - box.left, box.bottom - box.top);
  const small = new OffscreenCanvas(side, side).getContext("2d")!;
  small.fillStyle = "#000";
  small.fillRect(0, 0, side, side);
  small.imageSmoothingQuality = "high";
  small.drawImage(
    context.canvas,
    side / 2 - (scale * massX) / mass,
    side / 2 - (scale * massY) / mass,
    scale * SIZE,
    scale * SIZE,
  );
  const pixels = small.getImageData(0, 0, side, side).data;
  return Uint8Array.from({ length: side * side }, (_, pixel) => pixels[4 * pixel]!);
}
