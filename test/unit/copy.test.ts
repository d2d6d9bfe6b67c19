import { expect, it } from "vitest";
import { copyBytes } from "../../shared/memory/copy.ts";

const some = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => (index * 37 + 11) % 251);
const shared = (length: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(length + 16), 8, length);

it.each([0, 1, 2, 7, 64, 1_000, 200_001])(
  "copies %i bytes from and to shared memory, and no byte beside them",
  (length) => {
    const [to, back] = [shared(length), new Uint8Array(length)];
    const around = new Uint8Array(to.buffer).fill(77);
    copyBytes(to, some(length));
    copyBytes(back, to);
    expect(back).toEqual(some(length));
    expect([...around.subarray(0, 8), ...around.subarray(8 + length)]).toEqual(Array(16).fill(77));
  },
);

it("refuses another length, which would be repeated or cut", () => {
  expect(() => copyBytes(shared(8), some(4))).toThrow("4 bytes copied to 8");
  expect(() => copyBytes(shared(4), some(8))).toThrow("8 bytes copied to 4");
});
