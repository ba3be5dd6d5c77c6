/** A field that documents have words in. Its frequency is one byte of a posting: there are at most four. */
export interface ScoredField {
  /** How much more a word here says than one in a field of weight 1. */
  readonly weight: number;
  /** How far the length of the field counts, 0 to 1. */
  readonly b: number;
}

export const maxFields = 4;

/** Saturation of term frequency (Robertson and Zaragoza 2009 find 1.2 to 2 good for most collections). */
export const k1 = 1.2;

/** The classes of a tsvector, D to A: ratios are those PostgreSQL ranks with, less words of long texts counted. */
export const tsvectorFields: readonly ScoredField[] = [
  { weight: 0.5, b: 0.75 },
  { weight: 1, b: 0.75 },
  { weight: 2, b: 0.5 },
  { weight: 5, b: 0.5 },
];

/** Packs how often a term stands in each field, up to 255 times. */
export function packFrequencies(frequencies: readonly number[]): number {
  let packed = 0;
  for (let field = 0; field < frequencies.length; field += 1)
    packed |= Math.min(255, frequencies[field]!) << (8 * field);
  return packed >>> 0;
}

export function frequencyOf(packed: number, field: number): number {
  return (packed >>> (8 * field)) & 255;
}

const exactLengths = 64;
const stepsPerOctave = 16;

/** One byte for the length of a field: exact below 64 words, then in steps of 4 %. */
export function lengthBucket(length: number): number {
  if (length < exactLengths) return length;
  return Math.min(255, exactLengths + Math.floor(stepsPerOctave * Math.log2(length / exactLengths)));
}

const bucketLengths = Uint32Array.from({ length: 256 }, (_, bucket) =>
  bucket < exactLengths ? bucket : Math.round(exactLengths * 2 ** ((bucket - exactLengths) / stepsPerOctave)),
);

/** Words a bucket stands for. */
export function bucketLength(bucket: number): number {
  return bucketLengths[bucket]!;
}

/** Inverse document frequency, never negative (the form Lucene uses). */
export function inverseDocumentFrequency(documents: number, containing: number): number {
  return Math.log(1 + (documents - containing + 0.5) / (containing + 0.5));
}

/** What one occurrence counts, by field and length bucket: weight over (1 - b + b * length / average). */
export function fillNorms(
  norms: Float64Array,
  fields: readonly ScoredField[],
  averages: (field: number) => number,
): void {
  for (const [field, { weight, b }] of fields.entries()) {
    const average = averages(field);
    for (let bucket = 0; bucket < 256; bucket += 1) {
      const relative = average > 0 ? bucketLengths[bucket]! / average : 1;
      norms[field * 256 + bucket] = weight / (1 - b + b * relative);
    }
  }
}

/**
 * BM25F: frequencies are weighted and normalised per field, added, and saturated together (Robertson, Zaragoza and
 * Taylor 2004). Without the inverse document frequency.
 */
export function saturation(packed: number, buckets: number, norms: Float64Array): number {
  let weighted = 0;
  if ((packed & 0xff) !== 0) weighted += (packed & 0xff) * norms[buckets & 0xff]!;
  if ((packed & 0xff00) !== 0) weighted += ((packed >>> 8) & 0xff) * norms[256 + ((buckets >>> 8) & 0xff)]!;
  if ((packed & 0xff0000) !== 0) weighted += ((packed >>> 16) & 0xff) * norms[512 + ((buckets >>> 16) & 0xff)]!;
  if (packed >>> 24 !== 0) weighted += (packed >>> 24) * norms[768 + (buckets >>> 24)]!;
  return weighted / (k1 + weighted);
}
