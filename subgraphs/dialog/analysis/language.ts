export interface DetectedLanguage {
  /** ISO 639-1, or `und` where nothing can be said. */
  readonly code: string;
  /** 0 to 1. */
  readonly confidence: number;
}

const sampleChars = 4_000;

const scripts: readonly (readonly [string, RegExp])[] = [
  ['ja', /[\p{Script=Hiragana}\p{Script=Katakana}]/gu],
  ['ko', /\p{Script=Hangul}/gu],
  ['zh', /\p{Script=Han}/gu],
  ['th', /\p{Script=Thai}/gu],
  ['el', /\p{Script=Greek}/gu],
  ['he', /\p{Script=Hebrew}/gu],
  ['hy', /\p{Script=Armenian}/gu],
  ['ka', /\p{Script=Georgian}/gu],
  ['und-Cyrl', /\p{Script=Cyrillic}/gu],
  ['und-Arab', /\p{Script=Arabic}/gu],
  ['und-Deva', /\p{Script=Devanagari}/gu],
  ['latin', /\p{Script=Latin}/gu],
];

const shortWords: Readonly<Record<string, ReadonlySet<string>>> = {
  en: words('the and of to is that it for with as was on are this be have not you from at by we or an will can'),
  de: words('der die das und ist nicht ein eine zu mit den von für auf dem sich auch es werden im wir ich sie bei aus'),
  fr: words('le la les et est une des du que pour dans pas qui sur avec ce il nous vous au sont ne plus par cette'),
  es: words('el la los las y es una que para con por del no se lo como más pero su al está son esta muy ha'),
  it: words('il la che e è un una di per con non sono del della gli si come più anche questo nel ma ha alla dei'),
  pt: words('o a os as e é um uma que para com não do da em no na se por mais como dos das foi ao'),
  nl: words('de het een en is van dat niet te op met voor zijn aan er ook als maar bij om door deze wij ik naar'),
};

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}

/**
 * Names the language by its script where one language owns that, else for Latin script by function words of seven
 * languages (the method of Grefenstette 1995). Limits: it reads the first 4,000 characters, wants about ten words,
 * answers `und` for other Latin languages and for Cyrillic, Arabic and Devanagari, which many share, and takes every
 * text of Han characters alone for Chinese.
 */
export function detectLanguage(prose: string): DetectedLanguage {
  const sample = prose.slice(0, sampleChars);
  if (isAscii(sample)) return detectLatin(sample);
  const counts = scripts.map(([name, pattern]) => ({ name, count: countMatches(sample, pattern) }));
  const letters = counts.reduce((sum, { count }) => sum + count, 0);
  if (letters === 0) return undetermined;
  // Japanese mixes Han with kana: a tenth of kana decides.
  const kana = counts[0]?.count ?? 0;
  const han = counts[2]?.count ?? 0;
  if (kana > 0 && kana >= han / 9 && kana + han > letters / 2)
    return { code: 'ja', confidence: round2((kana + han) / letters) };
  const main = counts.reduce((best, entry) => (entry.count > best.count ? entry : best));
  if (main.name.startsWith('und-')) return undetermined;
  if (main.name !== 'latin') return { code: main.name, confidence: round2(main.count / letters) };
  return detectLatin(sample);
}

const undetermined: DetectedLanguage = { code: 'und', confidence: 0 };
const latinCodes = Object.keys(shortWords);
/** The languages, as indexes into `latinCodes`, that have a word among their function words. */
const languagesOfWord = new Map<string, number[]>();
for (const [index, code] of latinCodes.entries()) {
  for (const word of shortWords[code] ?? []) languagesOfWord.set(word, [...(languagesOfWord.get(word) ?? []), index]);
}

/**
 * The language whose function words are most frequent. The confidence is the margin over the second, times the
 * evidence n / (n + 2) of n function words seen; below 0.3 the answer is `und`.
 */
function detectLatin(sample: string): DetectedLanguage {
  const counts = latinCodes.map(() => 0);
  for (const word of sample.toLowerCase().match(/\p{L}+/gu) ?? []) {
    for (const index of languagesOfWord.get(word) ?? []) counts[index] = (counts[index] ?? 0) + 1;
  }
  const first = Math.max(...counts);
  if (first === 0) return undetermined;
  const best = counts.indexOf(first);
  const second = Math.max(...counts.filter((_, index) => index !== best));
  const confidence = round2((1 - second / first) * (first / (first + 2)));
  return confidence < 0.3 ? undetermined : { code: latinCodes[best] ?? 'und', confidence };
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

function countMatches(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}
