import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { alice, type CoreRig, type Json, openCoreRig } from './rig.ts';

let rig: CoreRig;
beforeAll(async () => {
  rig = await openCoreRig({ works: true });
});
afterAll(() => rig[Symbol.asyncDispose]());

const shown =
  'manifest { id status version refusal modules { moduleId status } pendingChange { status moduleId moduleStatus requestedBy confirmId } approval { approverRoles approvers quorum required } } userErrors { code message }';
const create = `mutation ($input: CreateCoreManifestInput!) { createManifest(input: $input) { ${shown} } }`;
const setStatus = `mutation ($id: ID!, $status: CoreManifestStatus!) { changeManifestStatus(manifestId: $id, status: $status) { ${shown} } }`;
const setModule = `mutation ($id: ID!, $moduleId: CoreModuleId!, $status: CoreModuleStatus!) { setModuleStatus(manifestId: $id, moduleId: $moduleId, status: $status) { ${shown} } }`;
const modules = [
  { moduleId: 'CONTEXT', version: '1' },
  { moduleId: 'EXTENSION', version: '1' },
];
const approval = { approvers: ['olga'], quorum: 'AT_LEAST', required: 1 };

const draft = async (more: object = {}): Promise<string> => {
  const payload = await rig.field(alice, create, { input: { modules, ...more } });
  expect(payload['userErrors']).toEqual([]);
  return String(payload['manifest']!['id']);
};
const look = async (id: string): Promise<Json> =>
  rig.field(
    alice,
    'query ($id: ID!) { coreManifest(manifestId: $id) { status refusal modules { moduleId status } pendingChange { status confirmId } } }',
    { id },
  );
/** The request that was told last, as the confirm module hears it. */
const asked = () =>
  rig.events.filter(({ type }) => type === 'approval.requested').at(-1)!.data['approval'] as Record<string, unknown>;
async function tell(type: string, more: object, confirmId = newId()): Promise<string> {
  const { reference, targetId } = asked();
  const confirm = { id: confirmId, requestEventId: newId(), targetType: 'other', targetId, reference, ...more };
  await rig.tell(
    'confirm',
    type,
    type === 'approval.refused' ? { approval: asked(), ...more } : { confirm },
    confirmId,
  );
  await rig.service.catchUp();
  return confirmId;
}

test('a change waits for its Confirm, by who the manifest names, and is made when that is approved', async () => {
  const id = await draft({ approval });
  const waiting = await rig.field(alice, setStatus, { id, status: 'ACTIVE' });
  expect(waiting).toMatchObject({
    manifest: {
      status: 'DRAFT',
      pendingChange: { status: 'ACTIVE', moduleId: null, requestedBy: 'alice', confirmId: null },
      approval: { approverRoles: [], approvers: ['olga'], quorum: 'AT_LEAST', required: 1 },
    },
    userErrors: [],
  });
  expect(asked()).toMatchObject({
    ...{ targetType: 'other', targetId: id, requestedBy: 'alice', approvers: ['olga'] },
    quorum: { kind: 'at_least', required: 1 },
  });
  expect(await rig.field(alice, setModule, { id, moduleId: 'EXTENSION', status: 'DISABLED' })).toMatchObject({
    userErrors: [{ code: 'INVALID_STATE' }],
  });
  const confirmId = await tell('confirm.created', { status: 'pending' });
  expect(await look(id)).toMatchObject({ status: 'DRAFT', pendingChange: { confirmId } });
  await tell('confirm.resolved', { status: 'approved' }, confirmId);
  expect(await look(id)).toMatchObject({ status: 'ACTIVE', pendingChange: null, refusal: null });
  // Heard once more it changes nothing.
  await tell('confirm.resolved', { status: 'approved' }, confirmId);
  expect(await look(id)).toMatchObject({ status: 'ACTIVE' });
});

test('what is not approved is not made, and the manifest says why; who takes the place of one needs its approval too', async () => {
  const active = String((await rig.field(alice, '{ coreManifest { id } }'))['id']);
  const off = await rig.field(alice, setModule, { id: active, moduleId: 'EXTENSION', status: 'DISABLED' });
  expect(off).toMatchObject({ manifest: { pendingChange: { moduleId: 'EXTENSION', moduleStatus: 'DISABLED' } } });
  await tell('confirm.resolved', { status: 'rejected', resolution: 'we use them' });
  expect(await look(active)).toMatchObject({
    ...{ pendingChange: null, refusal: 'the Confirm was rejected: we use them' },
    modules: [{ status: 'ENABLED' }, { moduleId: 'EXTENSION', status: 'ENABLED' }],
  });
  const other = await draft();
  await rig.field(alice, setModule, { id: other, moduleId: 'EXTENSION', status: 'DISABLED' });
  expect(await look(other)).toMatchObject({ pendingChange: null, modules: [{}, { status: 'DISABLED' }] });
  expect(await rig.field(alice, setStatus, { id: other, status: 'ACTIVE' })).toMatchObject({
    manifest: { status: 'DRAFT', pendingChange: { status: 'ACTIVE' } },
  });
  await tell('approval.refused', { message: 'nobody may approve it' });
  expect(await look(other)).toMatchObject({ status: 'DRAFT', refusal: 'nobody may approve it', pendingChange: null });
});

test('what could not be made is not asked about, and somebody has to be asked', async () => {
  const id = await draft({ approval });
  expect(await rig.field(alice, setStatus, { id, status: 'DEPRECATED' })).toMatchObject({
    userErrors: [{ code: 'INVALID_STATE_TRANSITION' }],
  });
  expect(await look(id)).toMatchObject({ pendingChange: null });
  expect(await rig.field(alice, create, { input: { modules, approval: { quorum: 'SINGLE' } } })).toMatchObject({
    userErrors: [{ code: 'VALIDATION_FAILED' }],
  });
});
