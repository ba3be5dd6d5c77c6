import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** Mean valence of a lower-case token, -4 to 4. */
export type ValenceLexicon = ReadonlyMap<string, number>;

/**
 * Reads the lexicon of Hutto & Gilbert (2014), ten raters a token, from the package `vader-sentiment`. Only its data
 * are used: that port reads negations case-sensitively ("Not bad" comes out negative) and needs 2 us a character.
 */
export function readVaderLexicon(): ValenceLexicon {
  const path = createRequire(import.meta.url).resolve('vader-sentiment/vader_lexicon.txt');
  const lexicon = new Map<string, number>();
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [token, valence] = line.split('\t');
    if (token === undefined || valence === undefined) continue;
    lexicon.set(token, Number(valence));
  }
  return lexicon;
}
