import { type ProtocolModule, protocolModules, validateProtocolObject } from '../../schema/protocol/index.ts';
import { createContext } from '../../subgraphs/context/inputs.ts';
import type { Random } from '../load/random.ts';
import type { CreateWorkload, Verdict } from '../load/workload.ts';
import { createProtocolDocuments } from './protocolDocuments.ts';

export interface ValidationParams {
  /** Different inputs of each kind. */
  readonly inputs: number;
}

interface Sample<T> {
  readonly value: T;
  readonly valid: boolean;
}

/** One in so many is broken in one place. */
const brokenEvery = 10;

function createObjectSamples(count: number, random: Random): Sample<{ module: ProtocolModule; document: unknown }>[] {
  return Array.from({ length: count }, (_, index) => {
    const module = protocolModules[index % protocolModules.length]!;
    const document = createProtocolDocuments(random)[module];
    const valid = Math.floor(index / protocolModules.length) % brokenEvery !== 0;
    const broken = random.pick([
      { ...document, meta: { ...document.meta, protocol_version: '1' } },
      { ...document, unknown_property: 1 },
    ]);
    return { valid, value: { module, document: valid ? document : broken } };
  });
}

function createInputSamples(count: number, random: Random): Sample<unknown>[] {
  return Array.from({ length: count }, (_, index) => {
    const valid = index % brokenEvery !== 0;
    const input = {
      title: `Context ${index}`,
      root: { domain: 'research', environment: 'staging', extra: { index, labels: ['a', 'b'] } },
      summary: 'Weekly reports of all teams, one page each. '.repeat(10),
      tags: ['research', `week-${index % 52}`],
      language: 'en',
      constraints: { maxCost: 12.5 },
      configuration: { maxParticipants: 20, timeoutMs: 60_000 },
      sharedState: { variables: { budget: 10, owner: 'team' } },
      activate: true,
      idempotencyKey: `perf-${index}`,
    };
    const broken = random.pick([
      { ...input, title: '' },
      { ...input, tags: ['\u0000'] },
      { ...input, configuration: { maxParticipants: 0 } },
    ]);
    return { valid, value: valid ? input : broken };
  });
}

function judge(valid: boolean, found: boolean, what: string): Verdict {
  return valid === found || `expected ${what} to be ${valid ? 'accepted' : 'refused'}`;
}

/** The two validators every write passes, on values parsed before: schema of the protocol, rules of an input. */
export const createWorkload: CreateWorkload<ValidationParams> = ({ inputs }, { random }) => {
  const objects = createObjectSamples(inputs, random);
  const values = createInputSamples(inputs, random);
  return {
    operations: [
      {
        name: 'schema_validation',
        weight: 50,
        call(source) {
          const { valid, value } = source.pick(objects);
          return judge(
            valid,
            validateProtocolObject(value.module, value.document).length === 0,
            `a ${value.module} object`,
          );
        },
      },
      {
        name: 'data_validation',
        weight: 50,
        call(source) {
          const { valid, value } = source.pick(values);
          return judge(valid, createContext.safeParse(value).success, 'an input of createContext');
        },
      },
    ],
  };
};
