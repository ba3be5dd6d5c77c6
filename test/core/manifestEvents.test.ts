import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createPrincipal } from '#shared/principal.ts';
import { validateProtocolObject } from '../../schema/protocol/index.ts';
import { coreCodec } from '../../subgraphs/core/codec.ts';
import { readObservabilityEvents } from '../../subgraphs/platform/protocol/observability.ts';
import { frozenOracle, frozenPresent } from '../conformance/frozen.ts';
import { type FrozenCheck, openFrozenCheck } from '../conformance/frozenCheck.ts';
import { sampleObjects } from '../conformance/sample/objects.ts';
import { alice, type CoreRig, errors, type GraphCall, made, openCoreRig, refusal, task, undo } from './rig.ts';

type Document = Record<string, unknown> & { readonly events?: readonly Record<string, unknown>[] };

let rig: CoreRig;
let folder: string;
let script: FrozenCheck;
beforeAll(async () => {
  rig = await openCoreRig({ graceMs: 300, random: () => 0 });
  folder = await mkdtemp(join(tmpdir(), 'mplp-manifest-'));
  if (frozenPresent) script = await openFrozenCheck(folder);
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const shown = `manifest { id status document } ${errors}`;
const create = `mutation ($input: CreateCoreManifestInput!) { createManifest(input: $input) { ${shown} } }`;
const setStatus = `mutation ($id: ID!, $status: CoreManifestStatus!) { changeManifestStatus(manifestId: $id, status: $status) { ${shown} } }`;
const setModule = `mutation ($id: ID!, $module: CoreModuleId!, $status: CoreModuleStatus!) { setModuleStatus(manifestId: $id, moduleId: $module, status: $status) { ${shown} } }`;

async function change(source: string, variables: object, principal = alice): Promise<Document> {
  const payload = await rig.field(principal, source, { ...variables });
  expect(payload['userErrors']).toEqual([]);
  return payload['manifest']!['document'] as unknown as Document;
}
const typesIn = ({ events = [] }: Document) => events.map(({ event_type }) => event_type);
const readOf = async (tenantId: string, id: string) =>
  (await coreCodec.read(rig.sql, tenantId, [id])).get(id) as Document;
const observed = (tenantId: string, contextId: string, core: readonly Document[] = []) =>
  readObservabilityEvents({ sqlOf: () => rig.sql, codecs: new Map([['core', coreCodec]]) }, tenantId, {
    ...{ contextId, bundle: { core } },
  });

/** By our own rules, by the frozen schema, and by the script of the frozen data. */
async function expectFrozen(name: string, core: Document, events: readonly unknown[]) {
  expect(validateProtocolObject('core', core)).toEqual([]);
  if (!frozenPresent) return;
  expect(frozenOracle()('mplp-core.schema.json', core)).toEqual([]);
  const dir = await script.write(name, { core: [core], events });
  const { code, output } = await script.run(dir, ['--compare', 'none', '--require', 'core']);
  expect(code, output).toBe(0);
  expect(output).toMatch(/\n[1-9]\d* passed, 0 failed\n$/);
}

const modules = ['CORE', 'PLAN', 'TRACE'].map((moduleId) => ({ moduleId, version: '1.0.0' }));
async function active(principal = alice): Promise<string> {
  const { core_id: id } = await change(create, { input: { modules } }, principal);
  await change(setStatus, { id, status: 'ACTIVE' }, principal);
  return String(id);
}

test('what has happened to a manifest stands in its frozen form, with dots, and among the observability events, without', async () => {
  const draft = await change(create, { input: { modules } });
  const id = String(draft['core_id']);
  // Drafts are edited freely: nothing has happened yet.
  expect(await change(setModule, { id, module: 'TRACE', status: 'DISABLED' })).not.toHaveProperty('events');
  await change(setStatus, { id, status: 'ACTIVE' });
  await change(setModule, { id, module: 'PLAN', status: 'DISABLED' });
  // It stays off, or on: neither is told.
  await change(setModule, { id, module: 'PLAN', status: 'DISABLED' });
  await change(setModule, { id, module: 'PLAN', status: 'EXPERIMENTAL' });
  await change(setModule, { id, module: 'PLAN', status: 'ENABLED' });
  const document = await change(setModule, { id, module: 'TRACE', status: 'DEPRECATED' });
  const base = { source: 'core', event_id: expect.any(String), timestamp: expect.any(String) };
  expect(document.events).toEqual([
    {
      ...{ ...base, event_type: 'protocol.initialized' },
      data: { protocol_version: '1.0.0', modules: ['core', 'plan'] },
    },
    {
      ...{ ...base, event_type: 'module.disabled' },
      data: { module_id: 'plan', version: '1.0.0', status: 'disabled' },
    },
    {
      ...{ ...base, event_type: 'module.enabled' },
      data: { module_id: 'plan', version: '1.0.0', status: 'experimental' },
    },
    {
      ...{ ...base, event_type: 'module.enabled' },
      data: { module_id: 'trace', version: '1.0.0', status: 'deprecated' },
    },
  ]);
  expect(await readOf('one', id)).toEqual(document);
  const events = await observed('one', newId(), [document]);
  const stage = { event_family: 'pipeline_stage', pipeline_id: id };
  expect(events).toMatchObject([
    { ...stage, event_type: 'protocol_initialized', stage_id: 'protocol', payload: { modules: ['core', 'plan'] } },
    { ...stage, event_type: 'module_disabled', stage_id: 'plan', stage_status: 'skipped' },
    { ...stage, event_type: 'module_enabled', stage_id: 'plan', stage_status: 'running' },
    { ...stage, event_type: 'module_enabled', stage_id: 'trace', stage_status: 'running' },
  ]);
  expect(events.map(({ timestamp }) => timestamp)).toEqual(document.events!.map(({ timestamp }) => timestamp));
  expect(new Set(events.map(({ event_id }) => event_id)).size).toBe(4);
  expect(await observed('two', newId(), [document])).toEqual([]);
  await expectFrozen('made', document, events);
});

test('foreign events come out to the letter, and what happens here stands behind them', async () => {
  const id = await active();
  const exported = await change(setModule, { id, module: 'TRACE', status: 'DISABLED' });
  const foreign = [
    {
      event_id: newId(),
      event_type: 'protocol.upgraded',
      source: 'elsewhere',
      timestamp: '2026-01-02T03:04:05.678901Z',
    },
    ...exported.events!,
  ];
  const document: Document = { ...exported, trace: { ...sampleObjects.core.trace }, events: foreign };
  const [tenantId, subject] = ['events', 'importer'];
  const who = createPrincipal({ tenantId, subject, scopes: ['*'] });
  await rig.sql.begin((tx) => coreCodec.write(tx, who, [document]));
  expect(await readOf(tenantId, id)).toEqual(document);
  // To import is no change of the manifest.
  expect(await observed(tenantId, newId(), [document])).toEqual([]);
  const after = await change(setModule, { id, module: 'TRACE', status: 'ENABLED' }, who);
  expect(after.events!.slice(0, foreign.length)).toEqual(foreign);
  expect(typesIn(after).slice(foreign.length)).toEqual(['module.enabled']);
  const { events: _events, modules: _modules, ...rest } = document;
  expect(after).toMatchObject(rest);
  await expectFrozen('imported', after, await observed(tenantId, newId(), [after]));
  // The one it was exported from is another tenant's and stays as it is.
  expect(await readOf('one', id)).toEqual(exported);

  // With an empty list, which is not none.
  const empty: Document = { ...exported, core_id: newId(), events: [] };
  await rig.sql.begin((tx) => coreCodec.write(tx, who, [empty]));
  expect(await readOf(tenantId, String(empty['core_id']))).toEqual(empty);
});

test('how it began and the last that happened are kept, a hundred in all', async () => {
  const id = await active();
  const toggles = 104;
  let document: Document = {};
  for (let at = 0; at < toggles; at += 1)
    document = await change(setModule, { id, module: 'PLAN', status: at % 2 === 0 ? 'DISABLED' : 'ENABLED' });
  expect(document.events!.length).toBe(100);
  expect(typesIn(document).slice(0, 3)).toEqual(['protocol.initialized', 'module.enabled', 'module.disabled']);
  expect(typesIn(document).at(-1)).toBe('module.enabled');
});

test('executions of a context that are undone are told as plans of compensation, those of others are not', async () => {
  rig.answers.set('createContext', ({ variables }: GraphCall) => {
    const { title } = variables['input'] as { title: string };
    return title === 'bad' ? refusal('VALIDATION_FAILED') : made(title);
  });
  rig.answers.set('deleteContext', ({ variables }: GraphCall) => ({
    contextId: variables['contextId'],
    userErrors: [],
  }));
  const fails = {
    steps: [
      task('a', { compensation: undo, retry: { maxAttempts: 1 } }),
      task('bad', { dependsOn: ['a'], retry: { maxAttempts: 1 } }),
    ],
  };
  const { contextId } = rig;
  const undone = await rig.start(fails, { contextId });
  const good = await rig.start({ steps: [task('a', { compensation: undo })] }, { contextId });
  const elsewhere = await rig.start(fails);
  await rig.until(undone, 'COMPENSATED');
  await rig.until(elsewhere, 'COMPENSATED');
  await rig.until(good, 'COMPLETED');
  const events = await observed('one', contextId);
  const told = { event_family: 'compensation_plan', project_id: contextId, payload: { execution_id: undone } };
  expect(events).toMatchObject([
    { ...told, event_type: 'rollback_planned' },
    { ...told, event_type: 'rollback_executed' },
  ]);
  expect(await observed('two', contextId)).toEqual([]);
  if (!frozenPresent) return;
  for (const event of events) expect(frozenOracle()('events/mplp-event-core.schema.json', event)).toEqual([]);
});
