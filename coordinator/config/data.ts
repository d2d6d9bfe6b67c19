/** The schema of `data`. */
import { z } from "zod";
import type { DataSpec } from "../../shared/data/spec.ts";
import { choice, positive, text, wholeNumber, yesOrNo, type Forms } from "./fields.ts";

const column = "the name of a column, or its number counted from 0";

const forms: Forms<DataSpec> = {
  mnist: {},
  idx: {
    path: text("the path of a folder with the four MNIST-named IDX files"),
    classes: wholeNumber(2).exactOptional(),
  },
  csv: {
    train: text("the path of a CSV file"),
    test: text("the path of a CSV file").exactOptional(),
    target: z.union([text(column), wholeNumber(0)], { error: column }),
    header: yesOrNo.exactOptional(),
    classes: wholeNumber(2).exactOptional(),
    scale: positive.exactOptional(),
  },
};

export const dataSchema = choice<DataSpec>(forms, { short: { idx: "path" } });
