import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What the longest files take, in seconds of one of three lanes on two cores; those that are not here are short, and go by their size. */
const longest: Readonly<Record<string, number>> = {
  'contract/tenants': 333,
  'conformance/door': 120,
  'gateway/execution/equality': 100,
  'e2e/conditionalLists': 83,
  'e2e/statements': 75,
  'perf/demo': 70,
  'e2e/tokens': 66,
  'faults/workflows': 66,
  'platform/erasure/erasure': 59,
  'e2e/conditionalStatements': 57,
  'e2e/accessLists': 50,
  'faults/workflowRestarts': 49,
  'hostile/documents': 48,
  'e2e/signals': 47,
  'faults/outages': 43,
  'e2e/revoked': 41,
  'e2e/production': 40,
  'e2e/justPrivate': 37,
  'e2e/conditionalStreams': 37,
  'faults/kill': 37,
  'confirm/private': 36,
  'platform/erasure/killed': 33,
  'platform/exports': 32,
  'prisma/embedded': 31,
  'e2e/smallPools': 31,
  'conformance/checkScript': 30,
  'perf/peersDatabase': 30,
  'perf/run': 28,
  'contract/schemaCheck': 26,
  'network/appliedRoutes': 23,
  'faults/streams': 23,
  'plan/updates': 22,
  'core/leases': 21,
  'core/optimization': 21,
  'perf/load': 20,
  'core/stepResources': 18,
  'hostile/sockets': 18,
  'e2e/governed': 17,
  'platform/cachingInstances': 17,
  'e2e/beforeHooks': 17,
  'shared/cache/model': 17,
  'e2e/deadline': 16,
  'platform/killed': 16,
  'shared/postgresDriver': 15,
  'faults/subgraph': 15,
  'role/apiProperties': 15,
  'faults/clock': 15,
  'platform/logging/processes': 14,
  'plan/approval': 14,
  'trace/private': 14,
  'platform/eventOrder': 14,
  'perf/subscribers': 13,
  'plan/scheduling/psplib': 13,
  'core/allocations': 13,
  'role/permissionRequests': 12,
  'shared/jobLiveness': 12,
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
