import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What the longest files take, in seconds of one of three lanes on two cores; those that are not here are short, and go by their size. */
const longest: Readonly<Record<string, number>> = {
  'contract/tenants': 277,
  'conformance/door': 92,
  'gateway/execution/equality': 86,
  'faults/workflows': 64,
  'e2e/statements': 62,
  'e2e/tokens': 62,
  'perf/demo': 59,
  'e2e/signals': 58,
  'platform/erasure/erasure': 51,
  'e2e/production': 42,
  'hostile/documents': 41,
  'e2e/revoked': 41,
  'faults/outages': 41,
  'faults/kill': 32,
  'prisma/embedded': 29,
  'platform/erasure/killed': 29,
  'perf/peersDatabase': 29,
  'e2e/smallPools': 29,
  'conformance/checkScript': 28,
  'e2e/accessLists': 32,
  'e2e/justPrivate': 27,
  'plan/updates': 25,
  'contract/schemaCheck': 25,
  'perf/run': 24,
  'network/appliedRoutes': 28,
  'confirm/private': 23,
  'platform/exports': 23,
  'core/leases': 22,
  'platform/monitoring/guideRules': 22,
  'trace/private': 21,
  'e2e/deadline': 20,
  'core/optimization': 19,
  'faults/subgraph': 18,
  'perf/load': 18,
  'trace/alertStream': 17,
  'platform/killed': 16,
  'role/apiProperties': 16,
  'faults/clock': 16,
  'shared/cache/model': 15,
  'platform/erasure/distributed': 14,
  'contract/errors': 13,
  'shared/cache/zipf': 12,
  'faults/streams': 11,
  'e2e/beforeHooks': 10,
  'core/circuits': 10,
  'e2e/governed': 10,
};

/**
 * Orders files longest first (Graham, 1969), so that the lanes end together; a clone remembers no earlier run. Before
 * them come those that share platforms, which are then needed no longer.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const bySize = await super.sort(files);
    const ranked = await Promise.all(
      bySize.map(async (file) => ({ file, shares: await sharedModes(file), seconds: secondsOf(file) })),
    );
    return ranked.toSorted((one, two) => two.shares - one.shares || two.seconds - one.seconds).map(({ file }) => file);
  }
}

const secondsOf = ({ moduleId, project }: TestSpecification): number =>
  longest[relative(`${project.config.root}/test`, moduleId).replace(/\.test\.ts$/, '')] ?? 0;

/** How many of the run's shared platforms a file asks for. */
async function sharedModes({ moduleId }: TestSpecification): Promise<number> {
  const text = await readFile(moduleId, 'utf8');
  if (!text.includes('await sharePlatform(')) return 0;
  return text.includes("sharePlatform({ mode: 'one process' })") ? 1 : 2;
}
