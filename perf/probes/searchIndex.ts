// Search in memory at 100,000 documents of the perf data set, against minisearch where that is installed:
//   node perf/probes/searchIndex.ts [documents, default 100000]
// Prints time to build, bytes a document, and time a search for words of different frequency.
import { type QueryNode, SearchIndex, tsvectorFields } from '#shared/searchIndex/index.ts';
import { packFrequencies } from '#shared/searchIndex/scoring.ts';
import { seededContext } from '../seeds/context.ts';
import { searchWords } from '../seeds/words.ts';

const total = Number(process.argv[2] ?? 100_000);
const documents = Array.from({ length: total }, (_, index) => seededContext(index));
type Seeded = (typeof documents)[number];
const wordsOf = (text: string) => text.toLowerCase().match(/[a-z0-9-]+/g) ?? [];

const collect = () => {
  for (let round = 0; round < 3; round += 1) globalThis.gc?.();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
};

function measure(name: string, run: () => unknown, rounds: number): number {
  for (let round = 0; round < rounds / 4; round += 1) run();
  const cpu = process.cpuUsage();
  for (let round = 0; round < rounds; round += 1) run();
  const { user, system } = process.cpuUsage(cpu);
  const us = (user + system) / rounds;
  console.log(`  ${name.padEnd(44)} ${us.toFixed(1).padStart(10)} us`);
  return us;
}

function build<Index>(name: string, create: () => Index): Index {
  const before = collect();
  const cpu = process.cpuUsage();
  const index = create();
  const { user, system } = process.cpuUsage(cpu);
  const after = collect();
  console.log(
    `${name}: built in ${((user + system) / 1e3).toFixed(0)} ms CPU, ${((after - before) / total).toFixed(0)} bytes a document`,
  );
  return index;
}

/** Terms of a document with frequencies of title, tags and summary, as PostgreSQL's tsvector would give them. */
function termsOf({ title, summary, tags }: Seeded) {
  const counts = new Map<string, number[]>();
  for (const [field, text] of [summary, tags.join(' '), title].entries())
    for (const word of wordsOf(text)) {
      const found = counts.get(word) ?? [0, 0, 0, 0];
      found[field + 1]! += 1;
      counts.set(word, found);
    }
  return { terms: [...counts.keys()], frequencies: [...counts.values()].map(packFrequencies) };
}

const prepared = documents.map(termsOf);
const documentOf = (index: number) => {
  const { id, status, type, domain, environment, tags } = documents[index]!;
  return {
    id,
    ...prepared[index]!,
    revision: 1,
    restricted: false,
    values: { status, type, domain, environment },
    sets: { tags },
    numbers: { createdAt: index },
  };
};
const byFrequency = Map.groupBy(
  prepared.flatMap(({ terms }) => terms),
  (term) => term,
);
const frequent = [...byFrequency]
  .map(([term, list]) => ({ term, share: list.length / total }))
  .filter(({ term }) => searchWords.includes(term));
frequent.sort((one, other) => other.share - one.share);
byFrequency.clear();
const pick = (share: number) =>
  frequent.reduce((best, entry) => (Math.abs(entry.share - share) < Math.abs(best.share - share) ? entry : best));
const [most, middle, rare] = [frequent[0]!, pick(0.02), frequent.at(-1)!];

const index = build('own index', () => {
  const made = new SearchIndex({
    fields: tsvectorFields,
    values: ['status', 'type', 'domain', 'environment'],
    sets: ['tags'],
    numbers: ['createdAt'],
  });
  for (let at = 0; at < total; at += 1) made.put(documentOf(at));
  return made;
});
console.log(`  ${(index.bytes / total).toFixed(0)} bytes a document by its own account`);
const term = (word: string): QueryNode => ({ kind: 'term', term: word });
const selection = (query: QueryNode, conditions: Parameters<typeof index.count>[0]['conditions'] = []) => ({
  query,
  conditions,
  granted: 'all' as const,
});
const page = { limit: 21, reversed: false, after: null };
const shown = ({ term: word, share }: { term: string; share: number }) => `${word} (${(share * 100).toFixed(1)} %)`;
for (const word of [most, pick(0.16), middle, rare])
  measure(`page of ${shown(word)}`, () => index.search(selection(term(word.term)), page), 200);
measure(
  `page of ${shown(most)}, two statuses`,
  () =>
    index.search(
      selection(term(most.term), [{ kind: 'oneOf', column: 'status', values: ['active', 'suspended'] }]),
      page,
    ),
  200,
);
measure(
  `page of ${most.term} & ${middle.term}`,
  () => index.search(selection({ kind: 'and', nodes: [term(most.term), term(middle.term)] }), page),
  200,
);
measure(
  `page of ${most.term} | ${middle.term} | ${rare.term}`,
  () => index.search(selection({ kind: 'or', nodes: [term(most.term), term(middle.term), term(rare.term)] }), page),
  200,
);
measure(
  `facets of ${shown(most)}`,
  () => index.facets(selection(term(most.term)), ['status', 'type', 'domain', 'environment', 'tags'], 50),
  200,
);
let next = 0;
const another = () => {
  next = (next + 7) % total;
  return next;
};
measure('replacing a document', () => index.put(documentOf(another())), 20_000);
measure(`page of ${shown(most)}, after replacements`, () => index.search(selection(term(most.term)), page), 200);
console.log(`  ${(index.bytes / total).toFixed(0)} bytes a document after replacements`);

const MiniSearch = await import('minisearch' as string).then(
  (module) => module.default as new (options: object) => Mini,
  () => null,
);
interface Mini {
  addAll(documents: readonly unknown[]): void;
  replace(document: unknown): void;
  search(query: string, options?: object): readonly { id: string; score: number }[];
}
if (MiniSearch === null) console.log('minisearch is not installed');
else {
  const mini = build('minisearch', () => {
    const made = new MiniSearch({
      fields: ['title', 'tags', 'summary'],
      storeFields: ['status'],
      tokenize: wordsOf,
      extractField: (document: Seeded, field: 'id' | 'title' | 'summary' | 'tags') =>
        field === 'tags' ? document.tags.join(' ') : document[field],
    });
    made.addAll(documents);
    return made;
  });
  const boost = { boost: { title: 5, tags: 2, summary: 1 } };
  for (const word of [most, middle, rare])
    measure(`page of ${shown(word)}`, () => mini.search(word.term, boost).slice(0, 21), 8);
  measure(
    `page of ${shown(most)}, two statuses`,
    () =>
      mini
        .search(most.term, {
          ...boost,
          filter: (hit: { status?: string }) => hit.status !== 'draft' && hit.status !== 'closed',
        })
        .slice(0, 21),
    8,
  );
  measure(
    `page of ${most.term} & ${middle.term}`,
    () => mini.search(`${most.term} ${middle.term}`, { ...boost, combineWith: 'AND' }).slice(0, 21),
    8,
  );
  measure('replacing a document', () => mini.replace(documents[another()]), 200);
}
