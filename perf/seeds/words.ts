import { createRandom, type Random } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';

/** Fields of work with the stems people use there; the endings make 50 words of each ten. */
const stems: Readonly<Record<string, string>> = {
  logistics: 'freight pallet carrier customs dock fleet parcel route storage tariff',
  finance: 'ledger invoice audit budget credit dividend hedge margin payroll yield',
  health: 'clinic dosage nurse patient screen surgeon triage vaccine ward therapy',
  research: 'survey sample theory method figure archive citation lemma cohort probe',
  security: 'breach cipher firewall incident patch phish sandbox token trust vault',
  support: 'ticket refund escalate reply queue complaint agent backlog outage warranty',
  education: 'course exam grade lecture mentor pupil quiz school syllabus tutor',
  energy: 'battery carbon grid hydro meter nuclear panel reactor turbine watt',
  retail: 'basket brand coupon discount loyalty shelf shopper stock supplier voucher',
  travel: 'airport booking cabin cruise flight hotel luggage passport tour visa',
  legal: 'appeal clause contract court deposit license patent plaintiff statute witness',
  media: 'broadcast caption editor frame headline podcast press reel studio viewer',
  farming: 'acre barn cattle crop drone fertile harvest orchard soil tractor',
  housing: 'brick facade lease mortgage permit plumb roof scaffold tenant zone',
  robotics: 'actuator bearing gripper joint lidar motor rover sensor servo torque',
  weather: 'blizzard cloud drought flood gust humid monsoon storm thunder wind',
  sports: 'athlete coach goal jersey league match referee sprint stadium trophy',
  music: 'album bass chord drum guitar lyric melody opera rhythm violin',
  software: 'branch build cache cluster commit deploy latency merge release schema',
  mining: 'borehole copper drill excavate gravel haul mineral ore quarry shaft',
};
const endings = ['', 's', 'er', 'ing', 'line'] as const;
const fillers = 'the of and to in for with on by from at a is are this that when before after each'.split(' ');

export const domains: readonly string[] = Object.keys(stems);
const vocabularies = new Map(
  domains.map((domain) => [domain, stems[domain]!.split(' ').flatMap((stem) => endings.map((end) => `${stem}${end}`))]),
);
const domainShare = createZipf(domains.length, 0.5);
const wordShare = createZipf(50);

export function pickDomain(random: Random): string {
  return domains[domainShare.sample(random)]!;
}

/** A word of the field, the field's usual ones more often (Zipf, s = 1 over its fifty). */
export function pickWord(random: Random, domain: string): string {
  return vocabularies.get(domain)![wordShare.sample(random)]!;
}

/** So many words, half of them of the field. */
export function sentence(random: Random, domain: string, words: number): string {
  const parts = Array.from({ length: words }, (_, index) =>
    index % 2 === 0 ? pickWord(random, domain) : random.pick(fillers),
  );
  return parts.join(' ');
}

function shuffled(items: readonly string[]): string[] {
  const random = createRandom(20_261);
  const list = [...items];
  for (let index = list.length - 1; index > 0; index -= 1) {
    const other = random.integer(index + 1);
    [list[index], list[other]] = [list[other]!, list[index]!];
  }
  return list;
}

/** The thousand words in the order in which searches ask for them: unrelated to how often texts use them. */
export const searchWords: readonly string[] = shuffled([...vocabularies.values()].flat());

/** True when the word stands in the text as full-text search of the `simple` configuration reads it. */
export function containsWord(text: string, word: string): boolean {
  return new RegExp(`(^|[^a-z])${word}([^a-z]|$)`, 'i').test(text);
}
