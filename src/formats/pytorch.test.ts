// What torch.save writes is read exactly; what would run code is refused by name; damaged files give typed errors.
import { describe, expect, it } from "vitest";
import { FilterBasisError } from "../errors/error.js";
import { numbers } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import { readPyTorch } from "./pytorch.js";

/**
 * Written by PyTorch 1.13: {w: arange(6).reshape(2, 3).t(), n: tensor(7)}, once as it is, once below "state_dict" in
 * the old form.
 */
const zipForm = Buffer.from(
  "UEsDBAAACAgAAAAAAAAAAAAAAAAAAAAAAAAQABIAZ19zbWFsbC9kYXRhLnBrbEZCDgBaWlpaWlpaWlpaWlpaWoACY2NvbGxlY3Rpb25zCk9yZGVyZWREaWN0CnEAKVJxAShYAQAAAHdxAmN0b3JjaC5fdXRpbHMKX3JlYnVpbGRfdGVuc29yX3YyCnEDKChYBwAAAHN0b3JhZ2VxBGN0b3JjaApGbG9hdFN0b3JhZ2UKcQVYAQAAADBxBlgDAAAAY3B1cQdLBnRxCFFLAEsDSwKGcQlLAUsDhnEKiWgAKVJxC3RxDFJxDVgBAAAAbnEOaAMoKGgEY3RvcmNoCkxvbmdTdG9yYWdlCnEPWAEAAAAxcRBoB0sBdHERUUsAKSmJaAApUnESdHETUnEUdS5QSwcIv9OMK+4AAADuAAAAUEsDBAAACAgAAAAAAAAAAAAAAAAAAAAAAAAOABYAZ19zbWFsbC9kYXRhLzBGQhIAWlpaWlpaWlpaWlpaWlpaWlpaAAAAAAAAgD8AAABAAABAQAAAgEAAAKBAUEsHCBeQ55EYAAAAGAAAAFBLAwQAAAgIAAAAAAAAAAAAAAAAAAAAAAAADgAsAGdfc21hbGwvZGF0YS8xRkIoAFpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWloHAAAAAAAAAFBLBwhw1udvCAAAAAgAAABQSwMEAAAICAAAAAAAAAAAAAAAAAAAAAAAAA8AOwBnX3NtYWxsL3ZlcnNpb25GQjcAWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWjMKUEsHCNGeZ1UCAAAAAgAAAFBLAQIAAAAACAgAAAAAAAC/04wr7gAAAO4AAAAQAAAAAAAAAAAAAAAAAAAAAABnX3NtYWxsL2RhdGEucGtsUEsBAgAAAAAICAAAAAAAABeQ55EYAAAAGAAAAA4AAAAAAAAAAAAAAAAAPgEAAGdfc21hbGwvZGF0YS8wUEsBAgAAAAAICAAAAAAAAHDW528IAAAACAAAAA4AAAAAAAAAAAAAAAAAqAEAAGdfc21hbGwvZGF0YS8xUEsBAgAAAAAICAAAAAAAANGeZ1UCAAAAAgAAAA8AAAAAAAAAAAAAAAAAGAIAAGdfc21hbGwvdmVyc2lvblBLBgYsAAAAAAAAAB4DLQAAAAAAAAAAAAQAAAAAAAAABAAAAAAAAADzAAAAAAAAAJICAAAAAAAAUEsGBwAAAACFAwAAAAAAAAEAAABQSwUGAAAAAAQABADzAAAAkgIAAAAA",
  "base64",
);
const oldForm = Buffer.from(
  "gAKKCmz8nEb5IGqoUBkugAJN6QMugAJ9cQAoWBAAAABwcm90b2NvbF92ZXJzaW9ucQFN6QNYDQAAAGxpdHRsZV9lbmRpYW5xAohYCgAAAHR5cGVfc2l6ZXNxA31xBChYBQAAAHNob3J0cQVLAlgDAAAAaW50cQZLBFgEAAAAbG9uZ3EHSwR1dS6AAn1xAChYCgAAAHN0YXRlX2RpY3RxAWNjb2xsZWN0aW9ucwpPcmRlcmVkRGljdApxAilScQMoWAEAAAB3cQRjdG9yY2guX3V0aWxzCl9yZWJ1aWxkX3RlbnNvcl92MgpxBSgoWAcAAABzdG9yYWdlcQZjdG9yY2gKRmxvYXRTdG9yYWdlCnEHWAkAAAAyNTUyMjIwMTZxCFgDAAAAY3B1cQlLBk50cQpRSwBLA0sChnELSwFLA4ZxDIloAilScQ10cQ5ScQ9YAQAAAG5xEGgFKChoBmN0b3JjaApMb25nU3RvcmFnZQpxEVgJAAAAMjU1MjI4NTI4cRJoCUsBTnRxE1FLACkpiWgCKVJxFHRxFVJxFnVYAQAAAGVxF0sBdS6AAl1xAChYCQAAADI1NTIyMjAxNnEBWAkAAAAyNTUyMjg1MjhxAmUuBgAAAAAAAAAAAAAAAACAPwAAAEAAAEBAAACAQAAAoEABAAAAAAAAAAcAAAAAAAAA",
  "base64",
);

const latin = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const thrown = (run: () => unknown): FilterBasisError => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(FilterBasisError);
    return error as FilterBasisError;
  }
  throw new Error("nothing was thrown");
};

describe("readPyTorch", () => {
  it.each([
    ["the ZIP form", zipForm],
    ["the old form, inside of a checkpoint", oldForm],
  ])("reads %s; a transposed tensor comes row-major", (_, bytes) => {
    const tensors = readPyTorch(bytes);
    expect([...tensors].map(([name, { type, dims }]) => [name, type, dims])).toEqual([
      ["w", "float32", [3, 2]],
      ["n", "int64", []],
    ]);
    expect([...numbers(tensors.get("w")!)]).toEqual([0, 3, 1, 4, 2, 5]);
    expect([...numbers(tensors.get("n")!)]).toEqual([7]);
  });

  it.each([
    ["os.system", "\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R."],
    ["builtins.eval", "\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R."],
    ["numpy.core.multiarray._reconstruct", "\x80\x02cnumpy.core.multiarray\n_reconstruct\n."],
    ["torch.nn.modules.linear.Linear", "\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81."],
    ["torch.__proto__", "\x80\x02ctorch\n__proto__\n."],
  ])("refuses %s by name", (name, text) => {
    const error = thrown(() => readPyTorch(latin(text), { file: "evil.pt" }));
    expect(error.code).toBe("unsupported");
    expect(error.message).toContain(name);
    expect(error.message).toContain("evil.pt");
  });

  it("refuses a file without a state dict, and says what it has", () => {
    const list = latin(
      "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02}X\x01\x00\x00\x00aK\x01s.\x80\x02].",
    );
    expect(thrown(() => readPyTorch(list)).message).toMatch(/holds no state dict.*a dict of a/);
  });

  it.each([
    ["the ZIP form", zipForm],
    ["the old form", oldForm],
  ])("gives a typed error for every truncation of %s", (_, bytes) => {
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      const error = thrown(() => readPyTorch(cut));
      expect(["malformed", "unsupported"]).toContain(error.code);
    }
  });

  it.each([
    ["the ZIP form", zipForm],
    ["the old form", oldForm],
  ])("gives tensors or a typed error for 1,500 random damages of %s", (_, bytes) => {
    const random = new Random(17);
    for (let n = 0; n < 1500; n++) {
      const damaged = Uint8Array.from(bytes);
      for (let i = 0; i <= random.int(3); i++) damaged[random.int(damaged.length)] = random.int(256);
      try {
        for (const { data } of readPyTorch(damaged).values()) expect(data.length).toBeLessThanOrEqual(bytes.length);
      } catch (error) {
        if (!(error instanceof FilterBasisError)) throw error;
      }
    }
  });
});
