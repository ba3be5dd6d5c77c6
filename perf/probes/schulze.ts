import { countVoices } from '../../subgraphs/collab/voting/delegation.ts';
import { votingRules } from '../../subgraphs/collab/voting/rules.ts';
import { schulze } from '../../subgraphs/collab/voting/schulze.ts';
import { tally } from '../../subgraphs/collab/voting/tally.ts';
import { figure } from '../figure.ts';
import { createRandom } from '../load/random.ts';
import { tellFigures } from './tellFigures.ts';

/** Ranked votes, counted: `node perf/probes/schulze.ts [voters] [options]`. Bound meant: 100 voters and 10 options below 50 ms. */
const voters = Number(process.argv[2] ?? 100);
const count = Number(process.argv[3] ?? 10);
const rounds = 200;
const random = createRandom(1);
const options = Array.from({ length: count }, (_, at) => ({ id: `option-${at}`, isStatusQuo: at === 0 }));
const ids = options.map(({ id }) => id);

function shuffled(): readonly string[] {
  const order = [...ids];
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = random.integer(at + 1);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}

const electorate = Array.from({ length: voters }, (_, at) => ({ id: `voter-${at}`, weight: 1 }));
const elections = Array.from({ length: rounds }, () => electorate.map(({ id }) => ({ voter: id, order: shuffled() })));

function measure(name: string, work: (votes: (typeof elections)[number]) => unknown): number {
  const times = elections.map((votes) => {
    const began = performance.now();
    work(votes);
    return performance.now() - began;
  });
  // The first is the one that nothing has been compiled for.
  const [first] = times;
  const sorted = [...times].sort((one, other) => one - other);
  const at = (part: number) => sorted[Math.min(rounds - 1, Math.floor(part * rounds))]!.toFixed(2);
  console.log(`${name.padEnd(24)} first ${first!.toFixed(2)} ms, p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)} ms`);
  return sorted[Math.min(rounds - 1, Math.floor(0.95 * rounds))]!;
}

console.log(`${voters} voters, ${count} options, ${rounds} elections`);
measure('Schulze', (votes) =>
  schulze(
    ids,
    votes.map(({ order }) => ({ order, weight: 1 })),
  ),
);
const wholeMs = measure('whole tally', (votes) =>
  tally({
    options,
    electorate,
    votes: countVoices(
      electorate,
      votes.map(({ voter, order }) => ({ voter, vote: { kind: 'ranking', order } })),
      new Map(),
    ),
    rules: votingRules({ method: 'ranked' }),
    coordinator: null,
    isOver: true,
  }),
);
tellFigures(
  figure(`ranked vote, ${voters} voters and ${count} options`, wholeMs, 'ms p95', {
    below: 50,
    note: `Schulze with delegation, quorum and ties; ${rounds} elections; perf/probes/schulze.ts`,
  }),
);
