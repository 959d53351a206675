import { expect, test } from "vitest";
import { planningOptions } from "./compress-on-data.js";
import { compressionOptions } from "./compress-options.js";
import { compressRules, isCalibrated, planOnDataRules, planRules } from "./compress-rules.js";
import { inputOptions } from "./data-options.js";
import { fineTuningOptions } from "./fine-tune.js";
import { checkRules, type OptionRule } from "./option-rules.js";

const given = (line: string) => new Map(line.split(" ").map((option) => option.split("=") as [string, string]));
const refused = (rules: readonly OptionRule[], line: string) => () => checkRules(given(line), rules);

test.each([
  "keep-params=0.5 keep-macs=0.5",
  "basis=8 keep-macs=0.5",
  "method=svd splits=4",
  "method=channel-wise splits=4",
  "slice=first",
  "slice=first share=none",
])("plan and compress refuse %s", (line) => {
  expect(refused(planRules, line)).toThrow(/--/);
  expect(refused(compressRules, line)).toThrow(/--/);
});

test.each([
  "undo=true keep-macs=0.5",
  "undo=true only=a",
  "undo=true layout=dense",
  "undo=true data=x",
  "epochs=3",
  "seed=3",
  "data=x epochs=3 steps=4",
  "run=x",
  "size=8x8",
  "keep-params=0.5 limit=3",
  "data=x max-loss=0.1 share=block",
  "data=x max-loss=0.1 method=svd",
  "data=x epochs=3 fit=cover",
])("compress refuses %s", (line) => expect(refused(compressRules, line)).toThrow(/--/));

test.each(["data=x share=block", "data=x method=svd", "data=x share-named=a", "size=8x8"])(
  "plan refuses %s, which data has no use for",
  (line) => expect(refused(planOnDataRules, line)).toThrow(/--/),
);

test.each([
  "data=x lr=0.1",
  "data=x distill=true",
  "data=x share=block",
  "data=x method=svd",
  "data=x basis=8 speedup=2",
  "data=x layer=a keep-macs=0.5",
  "keep-bytes=0.5 keep-params=0.5",
  "data=x latency=3 speedup=2",
  "latency=3",
])("compress refuses %s: data calibrates, and --epochs or --steps fine-tune", (line) =>
  expect(refused(compressRules, line)).toThrow(/--/),
);

test.each([
  ["data=x", true],
  ["data=x basis=8 splits=2 layout=split", true],
  ["data=x steps=20", true],
  ["data=x layer=a steps=20", true],
  ["data=x epochs=1", false],
  ["data=x steps=20 distill=true", false],
  ["data=x steps=0 share=block", false],
  ["keep-params=0.5", false],
])("with %s it is %s that data is calibrated on", (line, calibrated) => {
  expect(refused(compressRules, line)).not.toThrow();
  expect(isCalibrated(given(line))).toBe(calibrated);
});

test.each([
  "undo=true threads=2",
  "undo=false basis=3",
  "method=basis splits=4",
  "slice=first share=block",
  "data=x epochs=3 run=y seed=4",
  "basis=8 splits=2",
  "keep-bytes=0.5",
  "data=x keep-bytes=0.5 max-loss=0.1",
  "data=x latency=3 layout=split",
  "data=x layer=a max-loss=0.1 range=255",
  "layer=a keep-macs=0.5",
  "distill=false",
  "data=x max-loss=0.1 share=none limit=3",
  "data=x epochs=3 normalize=cifar10",
])("%s is taken", (line) => expect(refused(compressRules, line)).not.toThrow());

test("a rule speaks of options that there are", () => {
  const known = new Set([
    ...Object.keys(compressionOptions),
    ...Object.keys(fineTuningOptions),
    ...Object.keys(planningOptions),
    ...Object.keys(inputOptions),
    "undo",
    "layout",
    "keep-bn",
  ]);
  const named = compressRules.flatMap((rule) =>
    "oneOf" in rule ? rule.oneOf : [rule.option, ...("excludes" in rule ? rule.excludes : rule.needs)],
  );
  expect(named.map((option) => option.split("=")[0]!).filter((option) => !known.has(option))).toEqual([]);
});
