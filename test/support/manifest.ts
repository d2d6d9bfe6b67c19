/** A manifest as a run writes it at its start, for run folders that tests make themselves. */
import type { Manifest } from "../../coordinator/run-folder/manifest.ts";

export const exampleManifest: Manifest = {
  run: "5f0c6a0e-33f1-4c0f-8f3c-0c6c7f4b4f10",
  lockstep: "0.1.0",
  node: "v24.0.0",
  created: "2026-01-01T00:00:00.000Z",
  seed: 1,
  batch: 64,
  shards: 8,
  exact: true,
  dataSha256: "d7".repeat(32),
  layoutHash: "ab".repeat(32),
  parameters: 50_890,
};
