/** One of the crew's threads: piscina loads this file and calls what it exports once, with the offset of its own scratch block. */
import { workerData } from "piscina";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { optimizerOf } from "../../shared/optim/optimizer.ts";
import { operatingSystem } from "../../shared/system.ts";
import type { CrewSetup } from "./crew.ts";
import { Desk } from "./desk.ts";

const { memory, desk: offset, spec, surroundings } = workerData as CrewSetup;
const desk = new Desk(memory, offset);
const kernels = instantiateKernels(memory);
const optimizer = optimizerOf(spec, surroundings);
const system = operatingSystem();
if (system !== undefined) desk.join(system.gettid());

export default (scratch: number): void => {
  for (let call = desk.nextCall(0); call !== undefined; call = desk.nextCall(call))
    desk.work(kernels, optimizer, scratch);
};
