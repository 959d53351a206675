import { describe, expect, test } from "vitest";
import { isError } from "../errors/error.js";
import { gridOf, runName } from "./sweep-grid.js";
import { commandLine, gatherLine, slurmScript } from "./sweep-text.js";

describe("the grid of a sweep", () => {
  test("is every combination of values, the last field fastest", () => {
    expect(gridOf(["a=1,2", "b=x,y"]).map(runName)).toEqual(["a=1,b=x", "a=1,b=y", "a=2,b=x", "a=2,b=y"]);
    expect(gridOf(["optimizer.lr=0.1"])).toEqual([[["optimizer.lr", "0.1"]]]);
  });

  test("takes lists and sets as one value", () => {
    expect(gridOf(["schedule={name: step, milestones: [1, 2]},{name: constant}"]).map(([axis]) => axis?.[1])).toEqual([
      "{name: step, milestones: [1, 2]}",
      "{name: constant}",
    ]);
    expect(gridOf(['name="a,b",c']).map(([axis]) => axis?.[1])).toEqual(['"a,b"', "c"]);
  });

  test("names folders apart whatever the values are", () => {
    const names = gridOf(["file=a/b,a_b,../c"]).map(runName);
    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(name).toMatch(/^[\w.=+,-]+$/);
    expect(runName([["a", "x".repeat(500)]]).length).toBeLessThan(200);
  });

  test.each(["a", "=1", "a=", "a=1,,2", "a=1,1"])("%j is refused", (set) => {
    expect(() => gridOf([set])).toThrow(expect.objectContaining({ code: "usage" }));
  });

  test("refuses two axes of one field and a grid beyond all measure", () => {
    const refused = (sets: readonly string[]): boolean => {
      try {
        gridOf(sets);
        return false;
      } catch (error) {
        return isError(error, "usage");
      }
    };
    const many = Array.from({ length: 200 }, (_, at) => at).join(",");
    expect(refused(["a=1", "a=2"])).toBe(true);
    expect(refused([`a=${many}`, `b=${many}`])).toBe(true);
  });
});

describe("a sweep as text", () => {
  const point = [
    ["data.folder", "my images"],
    ["seed", "1"],
  ] as const;

  test("quotes what a shell would cut", () => {
    expect(commandLine("r.yaml", point, "out")).toBe(
      "filterbasis sweep r.yaml --set 'data.folder=my images' --set seed=1 -o out",
    );
    expect(commandLine("it's.yaml", [], "out")).toContain("'it'\\''s.yaml'");
  });

  test("is an array job with a task for each command", () => {
    const script = slurmScript("r", ["one", "two"], gatherLine("r.yaml", ["a=1,2"], "out"));
    expect(script).toContain("filterbasis sweep r.yaml --set a=1,2 -o out --gather");
    expect(script.split("\n")).toContain("#SBATCH --array=0-1");
    expect(script).toContain("1) two ;;");
  });
});
