import { randomUUID } from 'node:crypto';
import { type ProtocolModule, protocolModules } from '../../schema/protocol/index.ts';
import type { Random } from '../load/random.ts';
import { type CreateWorkload, readPath, type Verdict } from '../load/workload.ts';
import { createProtocolDocuments } from './protocolDocuments.ts';

export interface ImportDryRunParams {
  readonly bundles: number;
  /** Holds protocol:import. */
  readonly token: string;
}

interface Bundle {
  readonly objects: readonly { readonly module: string; readonly object: unknown }[];
  readonly valid: boolean;
}

const dryRun = `mutation DryRun($objects: [ProtocolObjectInput!]!) {
  importProtocolBundle(objects: $objects, dryRun: true) { ok results { ok } errors { path keyword invariant message } }
}`;
/** One in so many breaks an invariant: its plan is bound to another context than the bundle's. */
const brokenEvery = 10;

function createBundle(random: Random, valid: boolean): Bundle {
  const documents = createProtocolDocuments(random);
  const confirm = { ...documents.confirm, target_id: documents.plan.plan_id };
  const plan = valid ? documents.plan : { ...documents.plan, context_id: randomUUID() };
  const participants = documents.collab.participants.map((participant) => ({
    ...participant,
    role_id: documents.role.role_id,
  }));
  const all: Record<ProtocolModule, unknown> = {
    ...documents,
    confirm,
    plan,
    collab: { ...documents.collab, participants },
  };
  return { valid, objects: protocolModules.map((module) => ({ module: module.toUpperCase(), object: all[module] })) };
}

/** Bundles of one object of each module through schema, references and invariants, nothing stored. */
export const createWorkload: CreateWorkload<ImportDryRunParams> = ({ bundles, token }, { random }) => {
  const all = Array.from({ length: bundles }, (_, index) => createBundle(random, index % brokenEvery !== 0));
  const headers = { authorization: `Bearer ${token}` };
  return {
    operations: [
      {
        name: 'import_dry_run',
        weight: 1,
        next(source) {
          const { objects, valid } = source.pick(all);
          return {
            query: dryRun,
            variables: { objects },
            headers,
            check(response): Verdict {
              const result = readPath(response.data, 'importProtocolBundle') as {
                ok: boolean;
                errors: { invariant: string | null }[];
              };
              if (valid)
                return result.ok || `expected a whole bundle to pass, got ${JSON.stringify(result).slice(0, 300)}`;
              return (
                (!result.ok && result.errors.some((error) => error.invariant !== null)) ||
                'a broken invariant was not found'
              );
            },
          };
        },
      },
    ],
  };
};
