import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BundleObject,
  checkInvariants,
  invariants,
  type ProtocolModule,
  protocolModules,
} from '../../schema/protocol/index.ts';
import {
  type FrozenInvariant,
  frozenExamples,
  frozenFlows,
  frozenInvariants,
  frozenPresent,
  frozenText,
} from './frozen.ts';
import { type Change, changed } from './mutate.ts';
import { sampleEvents, sampleId, sampleObjects } from './sample/objects.ts';

type Patch = { [M in ProtocolModule]?: { [key: string]: unknown } };

/** The sample world with some properties set; undefined takes a property away, a module set to null is left out. */
function world(patch: Patch = {}, without: readonly ProtocolModule[] = []): BundleObject[] {
  return protocolModules
    .filter((module) => !without.includes(module))
    .map((module) => {
      const object = Object.entries({ ...sampleObjects[module], ...patch[module] }).filter(([, v]) => v !== undefined);
      return { module, object: Object.fromEntries(object) };
    });
}

const broken = (objects: readonly BundleObject[], events: readonly unknown[] = []): string[] =>
  checkInvariants(objects, events).map((v) => `${v.objectIndex ?? `event ${v.eventIndex}`} ${v.path} ${v.invariant}`);

const indexOf = (module: ProtocolModule): number => protocolModules.indexOf(module);
const other = sampleId(999);

describe('bundles', () => {
  it('accepts a world whose objects fit, in any order', () => {
    expect(broken(world(), Object.values(sampleEvents))).toEqual([]);
    expect(broken(world().reverse())).toEqual([]);
    expect(broken([])).toEqual([]);
  });

  it.each(protocolModules.map((module) => [module, sampleObjects[module]] as const))(
    'accepts a %s alone: what it refers to need not be there',
    (module, object) => {
      expect(broken([{ module, object }])).toEqual([]);
    },
  );

  it.each<[string, Patch, string[]]>([
    [
      'a plan of another context',
      { plan: { context_id: other } },
      ['1 /context_id plan_context_id_match', '1 /context_id sa_plan_context_binding'],
    ],
    ['a trace of another context', { trace: { context_id: other } }, ['4 /context_id sa_trace_context_binding']],
    ['a trace of another plan', { trace: { plan_id: other } }, ['4 /plan_id sa_trace_plan_binding']],
    [
      'a root span of another trace',
      { trace: { root_span: { trace_id: other, span_id: other } } },
      ['4 /root_span/trace_id root_span_trace_id_match'],
    ],
    [
      'a root span of another context',
      {
        trace: { root_span: { trace_id: sampleId(50), span_id: other, context_id: other } },
      },
      ['4 /root_span/context_id root_span_context_id_match'],
    ],
    [
      'a rejected confirm without a reason',
      { confirm: { status: 'rejected', reason: undefined } },
      ['3 /reason rejected_must_have_reason'],
    ],
    [
      'a rejected confirm with a blank reason',
      { confirm: { status: 'rejected', reason: ' ' } },
      ['3 /reason rejected_must_have_reason'],
    ],
    ['a confirm of another plan', { confirm: { target_id: other } }, ['3 /target_id confirm_target_match']],
    [
      'another protocol version',
      { context: { meta: { protocol_version: '1.1.0', schema_version: '1.0.0' } } },
      ['0 /meta/protocol_version protocol_version_must_be_1_0'],
    ],
    [
      'a blank domain',
      { context: { root: { domain: '', environment: 'x' } } },
      ['0 /root/domain root_domain_must_be_non_empty'],
    ],
    [
      'a blank step',
      { plan: { steps: [{ step_id: other, description: ' ', status: 'pending', agent_role: '' }] } },
      [
        '1 /steps/0/description step_descriptions_must_be_non_empty',
        '1 /steps/0/agent_role sa_steps_agent_role_if_present',
      ],
    ],
    ['a collab of another context', { collab: { context_id: other } }, ['7 /context_id map01_collab_context_binding']],
    [
      'a participant with a blank role',
      { collab: { participants: [{ participant_id: 'a', kind: 'agent', role_id: '' }] } },
      ['7 /participants/0/role_id map_participants_have_role_ids'],
    ],
    [
      'a begun session without roles',
      {
        collab: { status: 'active', participants: [{ participant_id: 'a', kind: 'agent' }] },
      },
      ['7 /participants/0/role_id map_participants_have_role_ids'],
    ],
    [
      'a suspended context whose plan runs',
      { context: { status: 'suspended' } },
      ['0 /status sa_context_must_be_active'],
    ],
    [
      'a draft whose plan has ended',
      {
        context: { status: 'draft' },
        plan: { status: 'completed' },
        trace: { status: 'pending' },
      },
      ['0 /status sa_context_must_be_active'],
    ],
    [
      'a completed trace without events',
      { trace: { status: 'completed', events: undefined } },
      ['4 /events sa_trace_not_empty'],
    ],
  ])('refuses %s and names the invariant', (_, patch, expected) => {
    expect(broken(world(patch))).toEqual(expected);
    for (const violation of checkInvariants(world(patch))) {
      expect(violation.keyword).toBe('invariant');
      expect(violation.message).toMatch(/^expected .+, got .+/);
    }
  });

  it.each<[string, Patch]>([
    ['a pending confirm', { confirm: { status: 'pending', reason: undefined } }],
    ['a cancelled confirm', { confirm: { status: 'cancelled' } }],
    ['a confirm of a context that is elsewhere', { confirm: { target_type: 'context', target_id: other } }],
    ['a rejected confirm with a reason', { confirm: { status: 'rejected', reason: 'gusts' } }],
    ['a running trace without events', { trace: { events: undefined } }],
    [
      'a draft with a drafted plan',
      { context: { status: 'draft' }, plan: { status: 'draft' }, trace: { status: 'pending' } },
    ],
    [
      'a closed context whose plan has ended',
      {
        context: { status: 'closed' },
        plan: { status: 'completed' },
        trace: { status: 'completed' },
      },
    ],
    ['a drafted session without roles', { collab: { participants: [{ participant_id: 'a', kind: 'agent' }] } }],
    ['a trace without plan', { trace: { plan_id: undefined } }],
    ['a dialog of a context that is elsewhere', { dialog: { context_id: other } }],
  ])('accepts %s', (_, patch) => {
    expect(broken(world(patch))).toEqual([]);
  });

  it('lets references dangle to modules that the bundle does not hold', () => {
    expect(broken(world({ plan: { context_id: other }, collab: { context_id: other } }, ['context', 'trace']))).toEqual(
      [],
    );
    expect(broken(world({ confirm: { target_id: other }, trace: { plan_id: other } }, ['plan']))).toEqual([]);
  });

  it('takes any context of the bundle for a binding', () => {
    const second = { module: 'context' as const, object: { ...sampleObjects.context, context_id: other } };
    expect(broken([...world({ plan: { context_id: other }, trace: { plan_id: undefined } }), second])).toEqual([]);
  });

  it('judges turns and broadcasts once their session has ended', () => {
    const event = (type: string, payload: object, n: number): object => ({
      event_id: sampleId(n),
      event_type: type,
      timestamp: '2026-03-14T09:26:00Z',
      session_id: sampleId(90),
      payload,
    });
    const turn = { role_id: sampleId(30), turn_number: 1 };
    const events = [event('MAPTurnDispatched', turn, 300), event('MAPBroadcastSent', { target_count: 1 }, 301)];
    expect(broken(world(), events)).toEqual([]);
    const ended = [...events, event('MAPSessionCompleted', {}, 302)];
    expect(broken(world(), ended)).toEqual([
      'event 0 / map_turn_completion_matches_dispatch',
      'event 1 / map_broadcast_has_receivers',
    ]);
    expect(broken(world({ collab: { status: 'completed' } }), events)).toHaveLength(2);
    const answered = [...ended, event('MAPTurnCompleted', turn, 303), event('MAPBroadcastReceived', {}, 304)];
    expect(broken(world(), answered)).toEqual([]);
    expect(broken(world(), [...answered, event('MAPTurnDispatched', turn, 305)])).toEqual([
      'event 5 / map_turn_completion_matches_dispatch',
    ]);
  });

  it('judges stream events one by one, and only the sets asked for', () => {
    const v1 = { ...sampleEvents['graph_update'], graph_id: '123e4567-e89b-12d3-a456-426614174000' };
    expect(broken([], [sampleEvents['base'], v1])).toEqual(['event 1 /graph_id obs_graph_event_has_graph_id']);
    expect(checkInvariants([], [v1], { profile: ['golden'] })).toEqual([]);
  });

  it('judges 6,000 objects of one bundle, and bounds its answer', () => {
    const contexts = Array.from({ length: 3_000 }, (_, n) => ({
      module: 'context' as const,
      object: { ...sampleObjects.context, context_id: sampleId(10_000 + n) },
    }));
    const plans = contexts.map(({ object }, n) => ({
      module: 'plan' as const,
      object: { ...sampleObjects.plan, plan_id: sampleId(5_000 + n), context_id: object.context_id },
    }));
    expect(broken([...world(), ...contexts, ...plans])).toEqual([]);
    expect(broken([...world(), ...plans])).toHaveLength(1_000);
  });

  it('states each rule once, with a reason', () => {
    expect(new Set(invariants.map((i) => i.id)).size).toBe(invariants.length);
    for (const invariant of invariants) expect(invariant.reason.length).toBeGreaterThan(20);
    expect(indexOf('confirm')).toBe(3);
  });
});

describe.runIf(frozenPresent)('against the frozen invariants', () => {
  // The check that lies beside the data imports packages that are installed here, so a copy runs from here.
  const folder = new URL('../../node_modules/.cache/conformance-check/', import.meta.url);
  const file = new URL('check.mjs', folder);
  type Judge = (
    invariant: FrozenInvariant,
    objects: { [scope: string]: { value: unknown; label: string }[] },
  ) => { status: string };
  let judge: Judge;

  beforeAll(async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      file,
      frozenText('check.mjs').replace("import yaml from 'js-yaml'", "import * as yaml from 'js-yaml'"),
    );
    const loaded: unknown = await import(/* @vite-ignore */ file.href);
    const found: unknown = Reflect.get(Object(loaded), 'judgeInvariant');
    if (typeof found !== 'function') throw new Error('the check has no judgeInvariant');
    judge = (invariant, objects) => found(invariant, objects);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const frozen = frozenPresent ? frozenInvariants() : [];

  it('restates every rule of the four sets: id, scope and place', () => {
    const key = (i: { set: string; id: string; scope: string }, at: string): string =>
      [i.set, i.id, i.scope, at].join(' ');
    const ours = invariants.filter((i) => i.set !== 'flow').map((i) => key(i, i.at));
    const theirs = frozen.map((i) => {
      const spoken = i.rule === undefined;
      return key(spoken ? { ...i, scope: 'event' } : i, (i.path ?? '').replaceAll('[*]', '/*').replaceAll('.', '/'));
    });
    expect(ours.sort()).toEqual(theirs.sort());
  });

  it('accepts every example alone and every recorded flow as one bundle', () => {
    for (const example of frozenExamples()) expect([example.label, broken([example])]).toEqual([example.label, []]);
    for (const flow of frozenFlows()) expect([flow.label, broken(flow.objects)]).toEqual([flow.label, []]);
  });

  it('finds what the check finds in changed worlds', () => {
    const start = [...world({ trace: { status: 'completed' } })];
    const events = Object.values(sampleEvents);
    const values = [
      '',
      ' ',
      'text',
      'active',
      'draft',
      'rejected',
      'plan',
      '1.0.0',
      '2.0.0',
      other,
      sampleId(1),
      sampleId(10),
      [],
      {},
    ];
    const change: fc.Arbitrary<Change> = fc.record({
      place: fc.nat(),
      kind: fc.constantFrom('remove', 'replace', 'repeat'),
      key: fc.constant('x'),
      value: fc.constantFrom<unknown>(...values),
    });
    const failed = new Set<string>();
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat({ max: start.length - 1 }), { maxLength: 3 }),
        fc.nat(),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (dropped, which, list) => {
          const kept = start.filter((_, index) => !dropped.includes(index));
          const target = which % (kept.length + 1);
          const objects = kept.map((entry, index) =>
            index === target ? { ...entry, object: changed(entry.object, list) } : entry,
          );
          const stream = target === kept.length ? events.map((event) => changed(event, list)) : events;
          const pool: { [scope: string]: { value: unknown; label: string }[] } = {};
          for (const { module, object } of objects) {
            pool[module] = [...(pool[module] ?? []), { value: object, label: module }];
          }
          pool['event'] = stream.map((value, index) => ({ value, label: `event ${index}` }));
          // A begun session must name roles here, where the check lets them be absent: sessions that begin are left out.
          fc.pre(
            objects.every(
              ({ module, object }) => module !== 'collab' || Reflect.get(Object(object), 'status') !== 'active',
            ),
          );
          const theirs = frozen
            .filter((i) => i.id !== 'status_must_be_valid_enum')
            .filter((i) => judge(i, pool).status === 'fail')
            .map((i) => i.id);
          const found = checkInvariants(objects, stream, {
            moment: 'execution',
            profile: ['golden', 'sa', 'map', 'obs'],
          });
          for (const id of theirs) failed.add(id);
          expect([...new Set(found.map((v) => v.invariant))].sort()).toEqual(theirs.sort());
        },
      ),
      { numRuns: 4_000 },
    );
    expect(failed.size).toBeGreaterThan(25);
  });
});
