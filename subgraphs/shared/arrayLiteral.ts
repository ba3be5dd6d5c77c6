type Text = string | null;

/** PostgreSQL's literal of an array of texts: what the driver makes of an array costs several times as much. */
export function textArray(values: readonly Text[]): string {
  let literal = '{';
  let separator = '';
  for (const value of values) {
    literal += value === null ? `${separator}NULL` : `${separator}"${escaped(value)}"`;
    separator = ',';
  }
  return `${literal}}`;
}

/** The same of values that need no quotes: ids, numbers, flags, times, words of a fixed list. */
export function plainArray(values: readonly (string | number | boolean | null)[]): string {
  let literal = '{';
  let separator = '';
  for (const value of values) {
    literal += separator + (value ?? 'NULL');
    separator = ',';
  }
  return `${literal}}`;
}

const special = /["\\]/;

function escaped(text: string): string {
  return special.test(text) ? text.replace(/["\\]/g, '\\$&') : text;
}
