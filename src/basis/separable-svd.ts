// A convolution as kh x 1 then 1 x kw (Jaderberg et al., 2014, scheme 2; Tai et al., 2016; the layer of ENC, Kim et
// al., 2019): W[o, i, y, x] = sum_r H[o, r, x] V[r, i, y]. The matrix [(i, y) x (x, o)] has the truncated SVD as its
// best approximation, and the squared error is the sum of the discarded squared singular values. Its rows stride
// vertically, its columns horizontally, so that at full rank it is the original also where the convolution strides.
import { type LinearAlgebra, type Spectrum, spectrum } from "../linalg/low-rank.js";
import { type Matrix, matrix, transpose } from "../linalg/matrix.js";
import { type Factors, type LayerShape, makeFactors } from "./factors.js";

/** @param filters W [n x c kh kw] */
export function separableSpectrum(filters: Matrix, { n, c, kernel }: LayerShape, linear: LinearAlgebra): Spectrum {
  const [kh, kw] = kernel;
  const data = new Float64Array(n * c * kh * kw);
  for (let o = 0; o < n; o++)
    for (
      let row = 0;
      row < c * kh;
      row++ // (i, y)
    )
      for (let x = 0; x < kw; x++) data[(row * kw + x) * n + o] = filters.data[o * c * kh * kw + row * kw + x]!;
  return spectrum(matrix(c * kh, kw * n, data), linear);
}

/** Of a 1x1 convolution: two matrices. */
export function separableFactors({ lowRank }: Spectrum, shape: LayerShape, rank: number): Factors {
  const { n, kernel } = shape;
  const family = kernel[0] * kernel[1] === 1 ? "low-rank" : "separable";
  const { coefficients, basis } = lowRank(rank); // [c kh x r] and [r x kw n]
  const horizontal = new Float64Array(basis.data.length); // [n, r, kw]
  for (let r = 0; r < rank; r++)
    for (let x = 0; x < kernel[1]; x++)
      for (let o = 0; o < n; o++) horizontal[(o * rank + r) * kernel[1] + x] = basis.data[(r * kernel[1] + x) * n + o]!;
  return makeFactors({ family, ranks: [rank] }, shape, [transpose(coefficients).data, horizontal]);
}
