import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';
import { load } from 'js-yaml';
import { type ProtocolModule, protocolModules } from '../../schema/protocol/index.ts';
import type { Mutant } from './sample/mutants.ts';

/** Where the frozen data lies. */
export const frozenHome = new URL('../../../shared/conformance/', import.meta.url);

/** Whether the frozen data of the protocol lies beside the project. */
export const frozenPresent = existsSync(frozenHome);

if (!frozenPresent) {
  console.error(
    '\n*** ../shared/conformance is ABSENT: the protocol is checked against the small bundled sample only, ' +
      'NOT against the frozen schemas, flows, mutants and invariants. ***\n',
  );
}

export function frozenText(path: string): string {
  return readFileSync(new URL(path, frozenHome), 'utf8').replace(/^\uFEFF/, '');
}

/** A JSON file of the frozen data; sample files carry a top-level $comment that is no part of the object. */
export function frozenJson(path: string): unknown {
  const value: unknown = JSON.parse(frozenText(path));
  if (typeof value === 'object' && value !== null) Reflect.deleteProperty(value, '$comment');
  return value;
}

export function frozenFiles(folder: string): string[] {
  return readdirSync(new URL(`${folder}/`, frozenHome)).sort();
}

export function isModule(name: string | undefined): name is ProtocolModule {
  return protocolModules.some((module) => module === name);
}

export interface NamedObject {
  label: string;
  module: ProtocolModule;
  object: unknown;
}

/** The examples that stand beside the frozen schemas. */
export function frozenExamples(): NamedObject[] {
  const folder = 'schemas/v2/examples';
  return frozenFiles(folder).flatMap((file) => {
    const module = file.split('.')[0];
    return isModule(module) ? [{ label: file, module, object: frozenJson(`${folder}/${file}`) }] : [];
  });
}

export interface Flow {
  label: string;
  objects: NamedObject[];
}

/** Every recorded flow, its input and its expected outcome apart. */
export function frozenFlows(): Flow[] {
  return frozenFiles('golden/flows').flatMap((flow) =>
    ['input', 'expected'].map((side) => {
      const folder = `golden/flows/${flow}/${side}`;
      const objects = frozenFiles(folder).flatMap((file) => {
        const module = file.replace(/\.json$/, '');
        if (!isModule(module)) throw new Error(`unexpected file ${folder}/${file}`);
        const value = frozenJson(`${folder}/${file}`);
        const list: unknown[] = Array.isArray(value) ? value : [value];
        return list.map((object) => ({ label: file, module, object }));
      });
      return { label: `${flow}/${side}`, objects };
    }),
  );
}

export function frozenMutants(): Mutant[] {
  return ['fixtures/mutants.json', 'fixtures/isolated-invalid.json'].flatMap((path) => {
    const rows: unknown = JSON.parse(frozenText(path));
    if (!isMutants(rows)) throw new Error(`${path} holds no mutants`);
    return rows;
  });
}

function isMutants(value: unknown): value is Mutant[] {
  return Array.isArray(value) && value.every((row) => isModule(row?.module) && typeof row?.expected?.path === 'string');
}

/** One rule as the frozen data states it. */
export interface FrozenInvariant {
  id: string;
  set: string;
  scope: string;
  path?: string;
  rule?: string;
  note?: string;
}

function isInvariants(value: unknown): value is FrozenInvariant[] {
  return Array.isArray(value) && value.every((row) => typeof row?.id === 'string');
}

export function frozenInvariants(): FrozenInvariant[] {
  const read = (path: string, set: string, scope?: string): FrozenInvariant[] => {
    const value: unknown = load(frozenText(path));
    const rows: unknown = Array.isArray(value) ? value : Reflect.get(Object(value), 'invariants');
    if (!isInvariants(rows)) throw new Error(`${path} holds no invariants`);
    return rows.map((row) => ({ ...row, set, scope: scope ?? row.scope }));
  };
  return [
    ...frozenFiles('golden/invariants').flatMap((file) =>
      read(`golden/invariants/${file}`, 'golden', file.split('.')[0] ?? ''),
    ),
    ...read('schemas/v2/invariants/sa-invariants.yaml', 'sa'),
    ...read('schemas/v2/invariants/map-invariants.yaml', 'map'),
    ...read('schemas/v2/invariants/observability-invariants.yaml', 'obs'),
  ];
}

/** A violation reduced to what must agree with any validator. */
export type Fault = string;

export function faultOf(path: string, keyword: string, property?: string): Fault {
  return JSON.stringify([path, keyword, property ?? null]);
}

/** The frozen schemas as oracle: their path in the data -> what they find wrong with a value. */
export function frozenOracle(): (schemaPath: string, value: unknown) => Fault[] {
  const ajv = new Ajv({ strict: false, allErrors: true });
  formats.default(ajv);
  const ids = new Map<string, string>();
  for (const folder of ['', 'common', 'events', 'integration', 'learning']) {
    for (const file of frozenFiles(`schemas/v2/${folder}`)) {
      if (!file.endsWith('.schema.json')) continue;
      const path = folder === '' ? file : `${folder}/${file}`;
      const schema: unknown = JSON.parse(frozenText(`schemas/v2/${path}`));
      ajv.addSchema(Object(schema));
      ids.set(path, String(Reflect.get(Object(schema), '$id')));
    }
  }
  const judges = new Map<string, ValidateFunction>();
  return (schemaPath, value) => {
    let judge = judges.get(schemaPath);
    if (!judge) {
      judge = ajv.getSchema(ids.get(schemaPath) ?? '');
      if (!judge) throw new Error(`no frozen schema ${schemaPath}`);
      judges.set(schemaPath, judge);
    }
    if (judge(value)) return [];
    return [...new Set((judge.errors ?? []).map(faultOfError))].sort();
  };
}

function faultOfError(error: ErrorObject): Fault {
  const property: unknown = error.params['missingProperty'] ?? error.params['additionalProperty'];
  return faultOf(error.instancePath || '/', error.keyword, typeof property === 'string' ? property : undefined);
}
