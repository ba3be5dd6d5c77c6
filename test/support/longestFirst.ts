import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What the longest files take, in seconds of one of two lanes; those that are not here are short, and go by their size. */
const longest: Readonly<Record<string, number>> = {
  'contract/tenants': 200,
  'e2e/tokens': 70,
  'faults/workflows': 65,
  'conformance/door': 60,
  'e2e/statements': 55,
  'gateway/execution/equality': 50,
  'faults/outages': 45,
  'hostile/documents': 40,
  'perf/demo': 40,
  'e2e/revoked': 40,
  'faults/kill': 40,
  'e2e/signals': 35,
  'e2e/production': 35,
  'e2e/accessLists': 32,
  'conformance/checkScript': 30,
  'e2e/justPrivate': 30,
  'contract/schemaCheck': 27,
  'e2e/smallPools': 27,
  'perf/peersDatabase': 26,
  'e2e/deadline': 26,
  'trace/private': 25,
  'contract/federation': 22,
  'plan/updates': 20,
  'core/leases': 20,
  'platform/cachingInstances': 19,
  'platform/erasure/distributed': 18,
  'core/optimization': 17,
  'perf/load': 17,
  'perf/run': 17,
  'trace/alertStream': 15,
  'prisma/embedded': 15,
  'contract/errors': 14,
  'role/apiProperties': 14,
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
