// Pickles are read as data: what would run code is refused by name, damaged ones give typed errors.
import { describe, expect, it } from "vitest";
import { FilterBasisError } from "../errors/error.js";
import { type PickleValue, readPickle } from "./pickle.js";

const latin = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const nothing = { names: () => false, call: () => null };
const thrown = (run: () => unknown): FilterBasisError => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(FilterBasisError);
    return error as FilterBasisError;
  }
  throw new Error("nothing was thrown");
};

describe("readPickle", () => {
  it("refuses a name that is not allowed, and never calls one", () => {
    const evil = latin("\x80\x02cos\nsystem\nU\x04true\x85R.");
    expect(thrown(() => readPickle(evil, nothing))).toMatchObject({
      code: "unsupported",
      place: { field: "os.system" },
    });
  });

  it("takes byte strings of Python 2 and the state of objects as the rules say", () => {
    const made: PickleValue[] = [];
    const rules = {
      names: (name: string) => name === "a.b",
      call: () => ({}),
      byteString: (bytes: Uint8Array) => bytes.length,
      setState: (_: PickleValue, state: PickleValue) => made.push(state) > 0,
    };
    const bytes = latin("\x80\x02ca\nb\n)RU\x03\xff\xfe\xfdb.");
    readPickle(bytes, rules);
    expect(made).toEqual([3]);
    expect(thrown(() => readPickle(bytes, { ...rules, setState: () => false })).code).toBe("malformed");
    const { byteString: _, ...plain } = rules;
    expect(thrown(() => readPickle(bytes, plain)).message).toMatch(/not UTF-8/);
  });

  it("refuses instructions that no array needs", () => {
    expect(thrown(() => readPickle(latin("\x80\x02i"), nothing)).code).toBe("unsupported"); // INST
    expect(thrown(() => readPickle(latin("\x80\x02\x82\x01."), nothing)).code).toBe("unsupported"); // EXT1
  });

  it.each([
    ["an empty stack", "\x80\x02."],
    ["a missing mark", "\x80\x02t."],
    ["a memo that was never stored", "\x80\x02h\x05."],
    ["an integer that is too long", "\x80\x02\x8b\xff\xff\xff\x7f."],
    ["a text that is too long", "\x80\x02X\xff\xff\xff\xffab."],
    ["a dict of three", "\x80\x02}(K\x01K\x02K\x03u."],
    ["attributes of a number", "\x80\x02K\x01}b."],
  ])("calls %s malformed", (_, text) => {
    expect(thrown(() => readPickle(latin(text), nothing)).code).toBe("malformed");
  });
});
