/**
 * Random, spoiled and out-of-order frames at the production worker runtime, from strangers who answer in place of the
 * coordinator: the run that the worker takes part in ends in the same bits.
 */
import { expect, test } from "vitest";
import { decodeFrame } from "../../shared/protocol/codec.ts";
import { Outbox } from "../../shared/protocol/outbox.ts";
import { checkWorkerMessage } from "../../shared/protocol/validate.ts";
import type { Client, ClientListener } from "../../worker/client.ts";
import { Cluster, undisturbed } from "./cluster.ts";
import { anyFrame } from "./coordinator-frames.ts";
import { Dice } from "./dice.ts";

const FRAMES = 60_000;

test(`${FRAMES} frames of strangers at workers change nothing in their run`, async () => {
  const epochs = 30;
  const hash = await undisturbed(epochs);
  const dice = new Dice(2);
  let sent = 0;
  let slowest = 0;
  /** Every other connection leads to someone else, who says what he likes and goes. */
  const strangers = (listener: ClientListener): Client | undefined => {
    if (sent >= FRAMES || dice.chance(0.2)) return undefined;
    let isOpen = true;
    const close = (): void => {
      if (isOpen) setImmediate(() => listener.onClose("gone"));
      isOpen = false;
    };
    setImmediate(() => {
      listener.onOpen();
      for (let frames = 50 + dice.below(400); frames > 0; frames--) {
        const begun = performance.now();
        sent += 1;
        listener.onFrame(anyFrame(dice, cluster.heard.coordinator));
        slowest = Math.max(slowest, performance.now() - begun);
      }
      close();
    });
    const heard = new Set<string>();
    const outbox = new Outbox((frame, flushed) => {
      heard.add(checkWorkerMessage(decodeFrame(frame).header).type);
      // A worker never gives a stranger more than its name and a proof of its own.
      expect([...heard].filter((type) => !["hello", "heartbeat"].includes(type))).toEqual([]);
      flushed();
    });
    return { outbox, close, terminate: close };
  };
  const cluster: Cluster = new Cluster(epochs, strangers);
  for (const name of ["a", "b"]) cluster.startWorker(name);
  for (let turn = 0; cluster.ended === undefined; turn++) {
    cluster.clock.advance(20);
    await cluster.deliver();
    // Honest connections break now and then, so that the next may lead to a stranger.
    if (dice.chance(0.03)) cluster.breakConnections();
    expect(turn, "the run hangs").toBeLessThan(200_000);
  }
  expect(cluster.ended).toBe("completed");
  expect(cluster.hash).toBe(hash);
  expect(sent).toBeGreaterThanOrEqual(FRAMES);
  expect(slowest).toBeLessThan(1_000);
}, 300_000);
