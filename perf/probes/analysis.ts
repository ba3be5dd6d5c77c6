import {
  createDeterministicProvider,
  extractHashtags,
  extractMentions,
} from '../../subgraphs/dialog/analysis/index.ts';

/** CPU of the dialog analysis: `node perf/probes/analysis.ts`. Bounds meant: mentions 50 us a KB, a message of 256 KiB 50 ms, a dialog of 10,000 messages 2 s. */
const provider = createDeterministicProvider();
const prose =
  'The deployment was good, but I will fix the broken parser by Friday because the tests fail. Could you review @bob? ';

function message(text: string, sequence = 1) {
  return {
    messageId: `m${sequence}`,
    sequence,
    senderId: `s${sequence % 7}`,
    senderType: 'AGENT' as const,
    text,
    sentAt: '2026-01-01T00:00:00.000Z',
    type: 'TEXT',
  };
}

async function cpuMs(runs: number, work: () => unknown): Promise<number> {
  await work();
  const before = process.cpuUsage();
  for (let run = 0; run < runs; run += 1) await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / runs;
}

const kilobyte = prose.repeat(10).slice(0, 1_024);
const long = prose.repeat(Math.floor(262_144 / prose.length));
const many = Array.from({ length: 10_000 }, (_, index) => message(`${prose.repeat(5)} Message ${index}.`, index + 1));
const rows = [
  [
    'mentions and hashtags, 1 KB, us',
    1_000 * (await cpuMs(5_000, () => [extractMentions(kilobyte), extractHashtags(kilobyte)])),
  ],
  ['message of 256 KiB, ms', await cpuMs(10, () => provider.analyzeMessage(message(long)))],
  ['256 KiB of one character, ms', await cpuMs(10, () => provider.analyzeMessage(message('@'.repeat(262_144))))],
  ['summary of 10,000 messages, ms', await cpuMs(2, () => provider.summarize(many))],
] as const;
for (const [what, value] of rows) console.log(`${what.padEnd(40)}${value.toFixed(2)}`);
