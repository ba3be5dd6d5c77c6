import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { protocolModules, validateProtocolObject } from '../../schema/protocol/index.ts';
import { frozenJson, frozenPresent } from '../conformance/frozen.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

type Json = Record<string, unknown>;

/** A confirm with every field that the frozen form has, each of its own value. */
function full(contextId: string): Json {
  return {
    meta: {
      ...{ protocol_version: '1.0.0', schema_version: '1.0.0' },
      ...{ created_at: '2026-01-01T10:00:00.123456+05:30', created_by: 'ann' },
      ...{ updated_at: '2026-01-02T10:00:00-00:00', updated_by: 'bob', tags: ['one', 'two'] },
      cross_cutting: ['security', 'coordination'],
    },
    governance: {
      ...{ lifecyclePhase: 'review', truthDomain: 'legal', locked: true },
      lastConfirmRef: { id: newId(), module: 'confirm', description: 'the one before' },
    },
    confirm_id: newId(),
    target_type: 'context',
    target_id: contextId,
    status: 'rejected',
    requested_by_role: 'planner',
    requested_at: '1990-12-31T23:59:60Z',
    reason: 'too "late"\n',
    decisions: [
      {
        ...{ decision_id: newId(), status: 'approved', decided_by_role: 'lead' },
        ...{ decided_at: '2026-01-03T00:00:00.5Z', reason: 'fine' },
      },
      { decision_id: newId(), status: 'rejected', decided_by_role: 'board', decided_at: '2026-01-04T00:00:00Z' },
      {
        ...{ decision_id: newId(), status: 'cancelled', decided_by_role: 'owner' },
        ...{ decided_at: '2026-01-05T00:00:00Z', reason: '' },
      },
    ],
    trace: {
      ...{ trace_id: newId(), span_id: newId(), parent_span_id: newId(), context_id: contextId },
      attributes: { 'a.b': [1, null, { deep: 0.5 }] },
    },
    events: [
      {
        ...{ event_id: newId(), event_type: 'confirm.created', source: 'elsewhere' },
        ...{ timestamp: '2026-01-01T00:00:00Z', trace_id: newId(), data: { of: ['anything'] } },
      },
      { event_id: newId(), event_type: 'confirm.resolved', source: 's', timestamp: '2026-01-01T00:00:00Z', data: null },
    ],
  };
}

/** Paths of all fields, those of lists without their places: `decisions[].reason`. Free forms are one field. */
function pathsOf(value: unknown, path = ''): Set<string> {
  if (Array.isArray(value)) return new Set(value.flatMap((one) => [...pathsOf(one, `${path}[]`)]));
  if (typeof value !== 'object' || value === null) return new Set();
  const found = new Set<string>();
  for (const [name, field] of Object.entries(value)) {
    const own = path === '' ? name : `${path}.${name}`;
    found.add(own);
    if (name !== 'attributes' && name !== 'data') for (const inner of pathsOf(field, own)) found.add(inner);
  }
  return found;
}

/** The same of a frozen schema, following its references. */
function schemaPaths(file: string, pointer: readonly string[] = [], path = ''): Set<string> {
  const root = frozenJson(file) as Json;
  const node = pointer.reduce<Json>((at, key) => at[key] as Json, root);
  const reference = node['$ref'];
  if (typeof reference === 'string') {
    const [target, fragment = ''] = reference.split('#');
    const next = target === '' ? file : new URL(target!, `file:///${file}`).pathname.slice(1);
    return schemaPaths(next, fragment.split('/').filter(Boolean), path);
  }
  if (node['items'] !== undefined) return schemaPaths(file, [...pointer, 'items'], `${path}[]`);
  const found = new Set<string>();
  for (const name of Object.keys((node['properties'] ?? {}) as Json)) {
    const own = path === '' ? name : `${path}.${name}`;
    found.add(own);
    if (name !== 'attributes' && name !== 'data')
      for (const inner of schemaPaths(file, [...pointer, 'properties', name], own)) found.add(inner);
  }
  return found;
}

/** The document without one field, in all entries of a list. */
function without(value: unknown, [name, ...rest]: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((one) => without(one, [name!, ...rest]));
  const entries = Object.entries(value as Json);
  if (rest.length === 0) return Object.fromEntries(entries.filter(([key]) => key !== name));
  return Object.fromEntries(entries.map(([key, field]) => [key, key === name ? without(field, rest) : field]));
}

const renew = (document: unknown): Json => ({ ...(document as Json), confirm_id: newId() });

describe.each(modes)('the door of protocol documents for confirms, %s', (mode) => {
  let platform: Platform;
  let token: string;
  let contextId: string;
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    token = await platform.token({ tenant: 'confirm-door', subject: 'importer', roles: ['admin'] });
    const { createContext } = await ask<{ createContext: { context: { id: string } } }>(
      'mutation { createContext(input: { title: "A room", root: { domain: "d", environment: "e" } }) { context { id } } }',
    );
    contextId = createContext.context.id;
  });
  afterAll(() => platform.close());

  async function ask<Data>(document: string, variables: Readonly<Json> = {}): Promise<Data> {
    const answer = await platform.query<Data>(document, variables, { token });
    expect(answer.errors).toEqual([]);
    return answer.data!;
  }
  const put = async (object: unknown) =>
    (
      await ask<{ importProtocolObject: { ok: boolean; errors: { path: string; keyword: string }[] } }>(
        'mutation ($object: JSON!) { importProtocolObject(module: CONFIRM, object: $object) { ok errors { path keyword message } } }',
        { object },
      )
    ).importProtocolObject;
  const get = async (id: unknown) =>
    (
      await ask<{ exportProtocolObject: Json }>('query ($id: ID!) { exportProtocolObject(module: CONFIRM, id: $id) }', {
        id,
      })
    ).exportProtocolObject;

  test.runIf(frozenPresent)('the document tried has every field of the frozen form', () => {
    expect([...pathsOf(full(newId()))].sort()).toEqual([...schemaPaths('schemas/v2/mplp-confirm.schema.json')].sort());
  });

  test('every field comes back as it was given, and each that may be missing stays missing', async () => {
    const whole = full(contextId);
    const documents = [whole];
    for (const path of pathsOf(whole)) {
      const reduced = renew(without(whole, path.replaceAll('[]', '').split('.')));
      const violations = validateProtocolObject('confirm', reduced);
      if (violations.length === 0) documents.push(reduced);
      else expect([path, (await put(reduced)).ok]).toEqual([path, false]);
    }
    expect(documents.length).toBeGreaterThan(15);
    // A reason is what a rejected confirm must have where it is asked to; lists may be empty instead of missing.
    documents.push(renew({ ...whole, decisions: [], events: [], governance: {} }));
    for (const status of ['pending', 'approved', 'cancelled']) documents.push(renew({ ...whole, status }));
    for (const target_type of ['plan', 'trace', 'extension', 'other'])
      documents.push(renew({ ...whole, target_type, target_id: newId() }));
    for (const module of protocolModules)
      documents.push(renew({ ...whole, governance: { lastConfirmRef: { id: newId(), module } } }));
    for (const document of documents) {
      // Ids of decisions are of one confirm each.
      const { decisions } = document as { decisions?: readonly Json[] };
      const own: Json = {
        ...document,
        ...(decisions && { decisions: decisions.map((one) => ({ ...one, decision_id: newId() })) }),
      };
      expect(await put(own)).toEqual({ ok: true, errors: [] });
      expect(await get(own['confirm_id'])).toEqual(own);
    }
    const { exportProtocolBundle } = await ask<{ exportProtocolBundle: { confirms?: Json[] } & Json }>(
      'query ($id: ID!) { exportProtocolBundle(contextId: $id) }',
      { id: contextId },
    );
    const bundled = new Set(JSON.stringify(exportProtocolBundle).match(/"confirm_id":"[^"]+"/g));
    // Its trace says where it belongs, and else its target, where that is a context.
    for (const { confirm_id: id, trace, target_type: type, target_id: target } of documents) {
      const place = (trace as Json | undefined)?.['context_id'] ?? (type === 'context' ? target : null);
      expect([id, bundled.has(`"confirm_id":"${id}"`)]).toEqual([id, place === contextId]);
    }
  });

  test('the graph shows of an imported confirm what it says', async () => {
    const document = full(contextId);
    expect(await put(document)).toMatchObject({ ok: true });
    const { confirm } = await ask<{ confirm: Json }>(
      `query ($id: ID!) { confirm(id: $id) { status phase requestedByRole requestedAt reason document context { id }
         target { __typename } governance { lifecyclePhase truthDomain locked lastConfirmId }
         decisions { id outcome decidedByRole rationale decidedAt } } }`,
      { id: document['confirm_id'] },
    );
    const [first, second, third] = document['decisions'] as { decision_id: string }[];
    expect(confirm).toMatchObject({
      ...{ status: 'REJECTED', phase: 'COMPLETED', requestedByRole: 'planner', reason: 'too "late"\n' },
      ...{ requestedAt: '1990-12-31T23:59:59.000Z', document, context: { id: contextId } },
      target: { __typename: 'Context' },
      governance: {
        ...{ lifecyclePhase: 'review', truthDomain: 'legal', locked: true },
        lastConfirmId: (document['governance'] as { lastConfirmRef: { id: string } }).lastConfirmRef.id,
      },
      decisions: [
        { id: first!.decision_id, outcome: 'APPROVED', rationale: 'fine', decidedAt: '2026-01-03T00:00:00.500Z' },
        { id: second!.decision_id, outcome: 'REJECTED', rationale: null },
        { id: third!.decision_id, outcome: 'CANCELLED' },
      ],
    });
  });

  test('is told again, and what differs under its id is refused', async () => {
    const document = full(contextId);
    expect(await put(document)).toMatchObject({ ok: true });
    expect(await put({ ...document, reason: 'another' })).toMatchObject({ ok: false });
    expect(await get(document['confirm_id'])).toEqual(document);
    const stranger = await platform.token({ tenant: 'elsewhere', subject: 'importer', roles: ['admin'] });
    const { data } = await platform.query<{ exportProtocolObject: Json | null }>(
      'query ($id: ID!) { exportProtocolObject(module: CONFIRM, id: $id) }',
      { id: document['confirm_id'] },
      { token: stranger },
    );
    expect(data?.exportProtocolObject ?? null).toBeNull();
  });
});
