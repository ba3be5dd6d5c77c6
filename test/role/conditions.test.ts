import { describe, expect, it } from 'vitest';
import {
  ConditionError,
  type Conditions,
  compileConditions,
  compileConstraints,
  compileTimeWindow,
  evaluateParts,
  type Facts,
  type TimeWindow,
} from '../../subgraphs/role/conditions/index.ts';

function facts(given: Partial<Facts> = {}): Facts {
  return {
    subjectId: 's',
    subject: {},
    roleClearance: undefined,
    heldRoles: ['r'],
    action: 'read',
    resourceType: 'plan',
    resourceId: 'p',
    resource: {},
    contextId: 'c',
    planId: undefined,
    environment: {},
    timeMs: Date.UTC(2026, 0, 5, 12),
    ip: undefined,
    ...given,
  };
}

function verdict(conditions: Conditions, given: Partial<Facts> = {}) {
  const { failing, error } = evaluateParts(compileConditions(conditions)!.parts, facts(given));
  return error === undefined ? (failing.length === 0 ? 'holds' : failing.join(' ')) : 'error';
}

describe('time windows', () => {
  const at = (window: TimeWindow, instant: string) => compileTimeWindow(window)(Date.parse(instant));
  const berlin = { timezone: 'Europe/Berlin' };

  it('follow the wall clock over the change to summer time', () => {
    const office = { ...berlin, start: '09:00', end: '17:00' };
    expect(at(office, '2026-03-28T08:00:00Z')).toBe(true);
    expect(at(office, '2026-03-29T06:59:59.999Z')).toBe(false);
    expect(at(office, '2026-03-29T07:00:00Z')).toBe(true);
    expect(at(office, '2026-03-29T15:00:00Z')).toBe(false);
    expect(at(office, '2026-03-28T15:59:59Z')).toBe(true);
  });

  it('never contain an hour that is skipped', () => {
    const night = { ...berlin, start: '02:00', end: '03:00' };
    const compiled = compileTimeWindow(night);
    const from = Date.parse('2026-03-28T23:00:00Z');
    const minutes = Array.from({ length: 24 * 60 }, (_, minute) => compiled(from + minute * 60_000));
    expect(minutes.filter(Boolean)).toHaveLength(0);
    expect(at(night, '2026-03-30T00:30:00Z')).toBe(true);
  });

  it('contain an hour that is repeated both times', () => {
    const night = compileTimeWindow({ ...berlin, start: '02:00', end: '03:00' });
    const from = Date.parse('2026-10-24T22:00:00Z');
    const minutes = Array.from({ length: 25 * 60 }, (_, minute) => night(from + minute * 60_000));
    expect(minutes.filter(Boolean)).toHaveLength(120);
  });

  it('know half-hour changes and zones off the hour', () => {
    const lordHowe = { timezone: 'Australia/Lord_Howe', start: '09:00', end: '09:01' };
    expect(at(lordHowe, '2026-01-15T22:00:30Z')).toBe(true);
    expect(at(lordHowe, '2026-07-15T22:30:30Z')).toBe(true);
    expect(at({ timezone: 'Asia/Kathmandu', start: '09:00', end: '09:01' }, '2026-01-15T03:15:00Z')).toBe(true);
    expect(at({ timezone: 'America/New_York', start: '23:00', daysOfWeek: [6] }, '2026-11-01T03:30:00Z')).toBe(true);
  });

  it('over midnight belong to the day they start on', () => {
    const friday = { start: '22:00', end: '06:00', daysOfWeek: [5] };
    expect(at(friday, '2026-01-09T22:00:00Z')).toBe(true);
    expect(at(friday, '2026-01-10T05:59:59Z')).toBe(true);
    expect(at(friday, '2026-01-10T06:00:00Z')).toBe(false);
    expect(at(friday, '2026-01-09T05:00:00Z')).toBe(false);
  });

  it('take the day of the week of the zone', () => {
    const sunday = { timezone: 'Pacific/Auckland', daysOfWeek: [0] };
    expect(at(sunday, '2026-01-10T11:00:00Z')).toBe(true);
    expect(at(sunday, '2026-01-11T11:00:00Z')).toBe(false);
    expect(at({ daysOfWeek: [3] }, '1969-12-31T23:59:59Z')).toBe(true);
  });

  it('may lie between two instants', () => {
    const window = { start: '2026-01-01T00:00:00+01:00', end: '2026-02-01T00:00:00Z' };
    expect(at(window, '2025-12-31T23:00:00Z')).toBe(true);
    expect(at(window, '2025-12-31T22:59:59Z')).toBe(false);
    expect(at(window, '2026-02-01T00:00:00Z')).toBe(false);
    expect(at({ end: '24:00', start: '23:00' }, '2026-01-01T23:59:59Z')).toBe(true);
  });

  it.each<TimeWindow>([
    { start: '25:00' },
    { start: '9:00' },
    { end: '24:30' },
    { start: '2026-01-01T00:00:00' },
    { start: '2026-02-01T00:00:00Z', end: '2026-01-01T00:00:00Z' },
    { timezone: 'Nowhere/City' },
    { daysOfWeek: [7] },
  ])('refuse %j', (window) => {
    expect(() => compileTimeWindow(window)).toThrow(ConditionError);
  });
});

describe('addresses', () => {
  const allowed = (ranges: string[], ip: string | undefined) =>
    verdict({ locationBased: { allowedIpRanges: ranges } }, { ip });

  it('are compared by prefix in both families', () => {
    expect(allowed(['10.0.0.0/8'], '10.255.0.1')).toBe('holds');
    expect(allowed(['10.0.0.0/8'], '11.0.0.1')).toBe('ip');
    expect(allowed(['2001:db8::/32'], '2001:DB8:1::1')).toBe('holds');
    expect(allowed(['2001:db8::/32'], '2001:db9::1')).toBe('ip');
    expect(allowed(['10.0.0.0/8'], '::ffff:10.1.1.1')).toBe('holds');
    expect(allowed(['192.0.2.7'], '192.0.2.7')).toBe('holds');
    expect(allowed(['fe80::/10'], 'fe80::1%eth0')).toBe('holds');
    expect(allowed(['0.0.0.0/0'], '203.0.113.1')).toBe('holds');
  });

  it('fail when absent and cannot be decided when malformed', () => {
    expect(allowed(['10.0.0.0/8'], undefined)).toBe('ip');
    expect(allowed(['10.0.0.0/8'], '10.0.0.256')).toBe('error');
  });

  it.each(['10.0.0.0/33', '10.0.0/8', '2001:db8::/129', '10.0.0.0/8/8', '', 'fe80::1%eth0/64'])(
    'refuse %j',
    (range) => {
      expect(() => compileConditions({ locationBased: { allowedIpRanges: [range] } })).toThrow(ConditionError);
    },
  );

  it('may be bound to a country or a circle', () => {
    const geo = { countries: ['DE'], within: { latitude: 52.52, longitude: 13.405, radiusKm: 300 } };
    const hamburg = { country: 'de', latitude: 53.55, longitude: 9.99 };
    expect(verdict({ locationBased: { geo } }, { environment: hamburg })).toBe('holds');
    expect(verdict({ locationBased: { geo } }, { environment: { ...hamburg, latitude: 48.1 } })).toBe('geo');
    expect(verdict({ locationBased: { geo } }, { environment: { country: 'DE' } })).toBe('geo');
    expect(verdict({ locationBased: { geo } }, { environment: { ...hamburg, latitude: 'north' } })).toBe('error');
  });
});

describe('attributes', () => {
  const subject = { age: 30, name: 'ada', groups: ['a', 'b'], active: true };
  it.each([
    ['eq', 'subject.age', 30, 'holds'],
    ['eq', 'subject.age', '30', 'fails'],
    ['ne', 'subject.missing', 1, 'holds'],
    ['gt', 'subject.age', 29, 'holds'],
    ['gte', 'subject.age', 30, 'holds'],
    ['lt', 'subject.missing', 30, 'fails'],
    ['lte', 'subject.name', 'bob', 'holds'],
    ['lt', 'subject.name', 3, 'error'],
    ['in', 'subject.name', ['ada', 'bob'], 'holds'],
    ['in', 'subject.groups', ['b'], 'holds'],
    ['contains', 'subject.groups', 'a', 'holds'],
    ['contains', 'subject.name', 'da', 'holds'],
    ['contains', 'subject.age', 3, 'error'],
    ['startsWith', 'subject.name', 'a', 'holds'],
    ['startsWith', 'subject.age', '3', 'error'],
    ['exists', 'subject.active', undefined, 'holds'],
    ['exists', 'subject.missing', undefined, 'fails'],
    ['exists', 'subject.missing', false, 'holds'],
    ['exists', 'subject.constructor', undefined, 'fails'],
    ['exists', 'subject.__proto__', undefined, 'fails'],
    ['exists', 'subject.groups.length', undefined, 'fails'],
    ['eq', 'resource.type', 'plan', 'holds'],
    ['contains', 'subject.roles', 'r', 'holds'],
  ] as const)('%s %s %j %s', (operator, attribute, value, expected) => {
    const attributes = [{ attribute, operator, ...(value === undefined ? {} : { value }) }];
    const found = verdict({ attributes }, { subject });
    expect(found === 'holds' || found === 'error' ? found : 'fails').toBe(expected);
  });

  it('that are required or forbidden are of the environment unless they say otherwise', () => {
    const contextBased = { requiredAttributes: ['mfa'], forbiddenAttributes: { 'subject.state': ['left', 'banned'] } };
    expect(verdict({ contextBased }, { environment: { mfa: false }, subject: { state: 'here' } })).toBe('holds');
    expect(verdict({ contextBased }, { subject: { state: 'banned' } })).toBe('required.mfa forbidden.subject.state');
  });

  it('of clearance are ordered by rank, from the subject or else from its roles', () => {
    expect(verdict({ minClearance: 'secret' }, { subject: { securityClearance: 'top_secret' } })).toBe('holds');
    expect(verdict({ minClearance: 'secret' }, { roleClearance: 'confidential' })).toBe('clearance');
    expect(verdict({ minClearance: 'public' })).toBe('clearance');
    expect(verdict({ minClearance: 'secret' }, { subject: { securityClearance: 'cosmic' } })).toBe('error');
    const expression = 'subject.securityClearance >= resource.classification';
    const given = { subject: { securityClearance: 'secret' }, resource: { classification: 'internal' } };
    expect(verdict({ expression }, given)).toBe('holds');
  });

  it('that fail outweigh those that cannot be decided', () => {
    const attributes = [
      { attribute: 'subject.name', operator: 'gt', value: 1 },
      { attribute: 'subject.age', operator: 'eq', value: 1 },
    ] as const;
    expect(verdict({ attributes }, { subject })).toBe('attribute.subject.age');
    expect(verdict({ attributes: [attributes[0]] }, { subject })).toBe('error');
  });
});

it('constraints limit what the names and numbers of a request may be', () => {
  const compiled = compileConstraints({ actions: ['read'], limits: { amount: 100 } })!;
  const failing = (given: Partial<Facts>) => evaluateParts(compiled.parts, facts(given)).failing;
  expect(failing({ resource: { amount: 100 } })).toEqual([]);
  expect(failing({ resource: { amount: 101 }, action: 'update' })).toEqual([
    'constraint.actions',
    'constraint.limits.amount',
  ]);
  expect(evaluateParts(compiled.parts, facts({ resource: { amount: 'much' } })).error).toContain('expected a number');
  expect(compiled.isStatic).toBe(false);
  expect(compileConstraints({ contextIds: ['c'] })!.isStatic).toBe(true);
});
