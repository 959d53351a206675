// The authors' command lines, as far as they say which network is built; their defaults where they say nothing.

/** What a command line builds, as a config of a parity index. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a table, one case a network of theirs
export function configOf(commandLine: string): Readonly<Record<string, unknown>> {
  const options = parseOptions(commandLine);
  const number = (name: string, fallback: number) => Number(options.get(name) ?? fallback);
  const model = options.get("model") ?? "";
  const [base = "", variant = "none"] = model.split("_");
  const method = variant.toLowerCase();
  switch (base) {
    case "VGG":
      return {
        network: "vgg16",
        method,
        norm: method === "none" ? "none" : "batch",
        ...only(method, {
          basis: { p: number("basis_size", 128), m: number("n_basis", 128) },
          group: { channelsPerGroup: number("group_size", 16) },
        }),
      };
    case "ResNet": {
      const groups = [1, 2, 3].map((i) => ({
        p: number(`basis_size${i}`, 8 << i),
        m: number(`n_basis${i}`, [24, 48, 84][i - 1] ?? 0),
      }));
      return {
        network: "resnet",
        depth: number("depth", 100),
        method,
        ...only(method, {
          basis: { groups, coefficientKernel: number("k_size2", 3) },
          group: { channelsPerGroup: { "16": 4, "32": 4, "64": number("group_size", 16) } },
        }),
      };
    }
    case "DenseNet":
      return {
        network: "densenet",
        depth: number("depth", 100),
        growth: 12,
        method,
        ...only(method, {
          basis: {
            m: number("n_basis", 128),
            splits: number("n_group", 1),
            coefficientKernel: number("k_size2", 3),
            transitionBottleneck: number("transition_group", 6),
          },
          group: { groups: { upTo252Channels: 3, above: number("group_size", 16) } },
        }),
      };
    default: {
      const network = {
        network: base.toLowerCase(),
        scale: number("scale", 4),
        blocks: number("n_resblocks", 5),
        width: number("n_feats", 64),
        method,
      };
      const resScale = base === "EDSR" ? { resScale: number("res_scale", 1) } : {};
      const basis = {
        p: number("basis_size", 64),
        m: number("n_basis", 16),
        share: options.has("share_basis") ? "block" : "none",
        betweenNormAndActivation: options.has("bn_every"),
      };
      return { ...network, ...resScale, ...only(method, { basis, factor: { sicLayers: number("sic_layer", 2) } }) };
    }
  }
}

function only(method: string, fields: Readonly<Record<string, object>>): object {
  return fields[method] ?? {};
}

/** --name value, or --name alone. */
function parseOptions(commandLine: string): ReadonlyMap<string, string> {
  const words = commandLine.split(" ");
  return new Map(
    words.flatMap((word, i) => (word.startsWith("--") ? [[word.slice(2), words[i + 1] ?? ""] as const] : [])),
  );
}
