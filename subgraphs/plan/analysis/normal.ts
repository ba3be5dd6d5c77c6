/** Standard normal distribution function, to about 1e-15 (Hart 1968 in the form of West 2005). */
export function normalCdf(x: number): number {
  const z = Math.abs(x);
  const upper = z > 37 ? 0 : upperTail(z);
  return x > 0 ? 1 - upper : upper;
}

const numerator = [
  3.52624965998911e-2, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871, 221.213596169931,
  220.206867912376,
];
const denominator = [
  8.83883476483184e-2, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674, 637.333633378831,
  793.826512519948, 440.413735824752,
];

function upperTail(z: number): number {
  const density = Math.exp((-z * z) / 2);
  const horner = (coefficients: readonly number[]): number =>
    coefficients.reduce((sum, coefficient) => sum * z + coefficient, 0);
  if (z < 7.07106781186547) return (density * horner(numerator)) / horner(denominator);
  return density / (z + 1 / (z + 2 / (z + 3 / (z + 4 / (z + 0.65))))) / 2.506628274631;
}
