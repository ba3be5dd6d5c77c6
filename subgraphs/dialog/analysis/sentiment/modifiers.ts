/** Constants and word lists of VADER (Hutto & Gilbert 2014; reference implementation 3.3.2). */

/** Mean change of intensity by a degree adverb, on the scale of -4 to 4 (their Table 3). */
const boost = 0.293;
/** Mean change of intensity by capitals where the rest of the sentence has none. */
export const capitalsIncrement = 0.733;
export const negationScalar = -0.74;
export const exclamationIncrement = 0.292;
export const questionIncrement = 0.18;
export const questionCeiling = 0.96;
/** Approximates the greatest expected sum of valences. */
export const normalizationAlpha = 15;

const boosters = `absolutely amazingly awfully completely considerable considerably decidedly deeply effing enormous
  enormously entirely especially exceptional exceptionally extreme extremely fabulously flipping flippin frackin
  fracking fricking frickin frigging friggin fully fuckin fucking fuggin fugging greatly hella highly hugely
  incredible incredibly intensely major majorly more most particularly purely quite really remarkably so
  substantially thoroughly total totally tremendous tremendously uber unbelievably unusually utter utterly very`;
const dampeners = `almost barely hardly kinda kindof kind-of less little marginal marginally occasional occasionally
  partly scarce scarcely slight slightly somewhat sorta sortof sort-of`;

function split(list: string): string[] {
  return list.split(/\s+/).filter((word) => word !== '');
}

/** What a degree adverb adds to the intensity of what follows. */
export const degreeModifiers: ReadonlyMap<string, number> = new Map([
  ...split(boosters).map((word): [string, number] => [word, boost]),
  ...split(dampeners).map((word): [string, number] => [word, -boost]),
  ['just enough', -boost],
  ['kind of', -boost],
  ['sort of', -boost],
]);

export const negations: ReadonlySet<string> = new Set(
  split(`aint arent cannot cant couldnt darent didnt doesnt dont hadnt hasnt havent isnt mightnt mustnt neednt oughtnt
    shant shouldnt uhuh wasnt werent wont wouldnt neither never none nope nor not nothing nowhere uh-uh without rarely
    seldom despite`),
);

/** Phrases whose valence is not that of their words. */
export const idioms: ReadonlyMap<string, number> = new Map([
  ['the shit', 3],
  ['the bomb', 3],
  ['bad ass', 1.5],
  ['badass', 1.5],
  ['bus stop', 0],
  ['yeah right', -2],
  ['kiss of death', -1.5],
  ['to die for', 3],
  ['beating heart', 3.1],
  ['broken heart', -2.9],
]);

/**
 * Frequent emoji as words of the lexicon: ours, in place of the reference's list of 3,570 descriptions. An emoji that
 * is not here is neutral.
 */
export const emojiWords: ReadonlyMap<string, string> = new Map([
  ['👍', 'good'],
  ['👎', 'bad'],
  ['❤', 'love'],
  ['💘', 'love'],
  ['💖', 'love'],
  ['😍', 'love'],
  ['🥰', 'love'],
  ['😘', 'kiss'],
  ['💋', 'kiss'],
  ['😀', 'smile'],
  ['😃', 'smile'],
  ['😁', 'smile'],
  ['🙂', 'smile'],
  ['😊', 'smile'],
  ['😄', 'happy'],
  ['😂', 'joy'],
  ['🤣', 'joy'],
  ['🎉', 'celebrate'],
  ['🙏', 'thanks'],
  ['👏', 'applause'],
  ['😢', 'sad'],
  ['🙁', 'sad'],
  ['😞', 'disappointed'],
  ['😭', 'crying'],
  ['😠', 'angry'],
  ['😡', 'angry'],
  ['🤬', 'angry'],
  ['😱', 'fear'],
  ['💔', 'heartbroken'],
  ['😕', 'confused'],
]);
