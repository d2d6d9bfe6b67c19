/** What a layer of one's own asks of its context, checked: a program in plain JavaScript may ask for anything. */
import { checkGiven, form, type Form, map, optional, positive, share, sizes, text, truth } from "../arguments.ts";
import { shape, tensor } from "../graph/operation.ts";
import { initialisers } from "./initialisers.ts";
import { isLayer } from "./layers.ts";
import type { ParameterSpec } from "./spec.ts";

const parameterForms: { readonly [Name in keyof ParameterSpec]-?: Form } = {
  name: text,
  shape: sizes,
  initialiser: optional(
    form(`one of ${Object.keys(initialisers).join(", ")}`, (value) => Object.hasOwn(initialisers, value as string)),
  ),
  fanIn: optional(positive),
  fanOut: optional(positive),
  frozen: optional(truth),
};

export function checkParameter(parameter: unknown): void {
  const hint = 'It is called as parameter({ name: "weight", shape: [10, 784] }).';
  checkGiven("", { parameter }, { parameter: map }, hint);
  const { name } = parameter as Partial<ParameterSpec>;
  const where = text.fits(name) ? `parameter ${name}: ` : "parameter: ";
  checkGiven(where, parameter as Partial<ParameterSpec>, parameterForms, hint);
}

export function checkMask(rate: unknown, of: unknown): void {
  checkGiven("mask: ", { rate, shape: of }, { rate: share, shape }, "It is called as mask(0.5, x.shape).");
}

const useForms = {
  layer: form("a layer such as dense(10)", isLayer),
  x: tensor,
  name: form("a text", (value) => typeof value === "string"),
};

export function checkUse(layer: unknown, x: unknown, name: unknown): void {
  checkGiven("use: ", { layer, x, name }, useForms, 'It is called as use(dense(10), x) or use(dense(10), x, "head").');
}
