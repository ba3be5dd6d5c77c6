import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createInstantOf } from '#shared/zoneOffset.ts';
import { leastCapacity } from '../../subgraphs/plan/analysis/calendar.ts';
import { calendarsAt, toTimed } from '../../subgraphs/plan/planTimes.ts';
import { toSchedulingProblem } from '../../subgraphs/plan/schedulingProblem.ts';
import { listCapacities, type WeekHours, type WorkWeek, weekdays } from '../../subgraphs/plan/workWeek.ts';
import { workWeek } from '../../subgraphs/plan/workWeekInput.ts';
import { agents, alice, openPlanRig, type PlanRig } from './rig.ts';

let rig: PlanRig;
beforeAll(async () => {
  rig = await openPlanRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const [hour, day] = [3_600_000, 86_400_000];
const workdays = ['MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY'];
/** Nine to five with an hour at noon, in Athens; nobody works on the 26th and 27th of March. */
const office = {
  timezone: 'Europe/Athens',
  hours: [
    { days: workdays, start: '09:00', end: '12:00' },
    { days: workdays, start: '13:00', end: '17:00' },
  ],
  exceptions: [{ date: '2099-03-26', until: '2099-03-27', hours: [], reason: 'bank holidays' }],
};
const demands = [{ resourceId: 'ann', amount: 1 }];
const work = (id: string, hours: number, more: object = {}) => ({
  ...{ id, description: id, durationMs: hours * hour, demands, ...more },
});
/** A Monday in Athens, at nine. */
const monday = '2099-03-23T07:00:00Z';
const ann = (week: object | null = office, more: object = {}) => [{ id: 'ann', capacity: 1, workWeek: week, ...more }];
const planOf = (more: object = {}) => {
  const [a, b] = [newId(), newId()];
  return {
    ...{ a, b },
    plan: {
      timeline: { start: monday },
      resources: ann(),
      steps: [work(a, 3), work(b, 4, { dependsOn: [a] })],
      ...more,
    },
  };
};
const summary = 'summary { durationMs feasible reasons { reason stepId } }';
const create = (plan: object) =>
  rig.field(
    alice,
    `mutation ($input: CreatePlanInput!) { createPlan(input: $input) { plan { id ${summary}
       resources { calendar { fromMs } workWeek { timezone hours { days start end capacity }
         exceptions { date until reason hours { start end capacity } } } } } userErrors { code message path } } }`,
    { input: { contextId: rig.contextId, title: 'weeks', objective: 'weeks', ...plan } },
  );

test('a plan keeps the hours of a week, the noon between them, weekends and days off', async () => {
  const { plan, a, b } = planOf();
  const created = await create(plan);
  expect(created).toMatchObject({ userErrors: [], plan: { summary: { durationMs: 8 * hour, feasible: true } } });
  expect(created['plan']!['resources']).toEqual([
    {
      calendar: [],
      workWeek: {
        timezone: 'Europe/Athens',
        hours: office.hours.map((hours) => ({ ...hours, capacity: null })),
        exceptions: [{ date: '2099-03-26', until: '2099-03-27', reason: 'bank holidays', hours: [] }],
      },
    },
  ]);
  // From Wednesday at one on: four hours that day, Thursday and Friday are free, the clocks go forward on Sunday.
  const late = await create({ ...plan, timeline: { start: '2099-03-25T11:00:00Z' }, steps: [work(a, 4), work(b, 3)] });
  expect(late['plan']!['summary']).toMatchObject({ durationMs: 4 * hour, feasible: true });
  const chain = [work(newId(), 4)];
  const next = await create({
    ...plan,
    timeline: { start: '2099-03-25T11:00:00Z' },
    steps: [...chain, work(newId(), 3, { dependsOn: [chain[0]!.id] })],
  });
  // Monday at nine is six in universal time: 30 March less 25 March, 13:00 to 12:00 by the wall, an hour of it skipped.
  expect(next['plan']!['summary']).toMatchObject({ durationMs: 5 * day - 2 * hour, feasible: true });
});

test('work is not interrupted: a step longer than any stretch is told as such, and schedules date what fits', async () => {
  const long = newId();
  const created = await create(planOf({ steps: [work(long, 5)] }).plan);
  expect(created['plan']!['summary']).toMatchObject({
    feasible: false,
    reasons: [{ reason: 'CALENDAR_TOO_SHORT', stepId: long }],
  });
  const { plan, a, b } = planOf();
  const planId = String((await create(plan))['plan']!['id']);
  const optimized = await rig.field(
    alice,
    `mutation ($id: ID!) { optimizePlan(input: { planId: $id, iterations: 100 }) {
       after { makespanMs violations { kind } } schedule { stepId startMs } userErrors { code message } } }`,
    { id: planId },
  );
  expect(optimized).toMatchObject({ after: { makespanMs: 8 * hour, violations: [] }, userErrors: [] });
  const starts = new Map(optimized['schedule']!.map(({ stepId, startMs }) => [String(stepId), Number(startMs)]));
  expect([starts.get(a), starts.get(b)]).toEqual([0, 4 * hour]);
  const nights = {
    timezone: 'UTC',
    hours: [{ days: ['MONDAY', 'SUNDAY'], start: '22:00', end: '06:00', capacity: 2 }],
  };
  const limited = await rig.field(
    alice,
    `mutation ($input: ExecutePlanInput!) { executePlan(input: $input) { makespanMs userErrors { code message path } } }`,
    { input: { planId, dryRun: true, resourceLimits: [{ resourceId: 'ann', capacity: 0, workWeek: nights }] } },
  );
  // Monday seven to ten is day: the night begins 15 hours later, and takes both.
  expect(limited).toMatchObject({ makespanMs: 22 * hour, userErrors: [] });
});

test('a run hands out a step while its hours last', async () => {
  const now = new Date();
  const clock = (at: number) => new Date(at).toISOString().slice(11, 16);
  const open = (from: number, until: number) => ({
    timezone: 'UTC',
    hours: [{ days: [...weekdays], start: clock(now.getTime() + from), end: clock(now.getTime() + until) }],
  });
  const [first] = agents;
  const claimed = async (week: object) => {
    const steps = [work(newId(), 2)];
    const timeline = { start: new Date(now.getTime() - 3 * day).toISOString() };
    const { executionId } = await rig.startPlan({ steps, timeline, resources: ann(week) });
    return (await rig.claim(first!, executionId))['lease'] !== null;
  };
  expect(await claimed(open(-hour, 4 * hour))).toBe(true);
  expect(await claimed(open(-4 * hour, hour))).toBe(false);
  expect(await claimed(open(2 * hour, 8 * hour))).toBe(false);
});

test('what makes no sense is refused, and nothing is stored', async () => {
  const refused = async (more: object) => {
    const answer = await create(planOf(more).plan);
    expect(answer['plan']).toBeNull();
    return answer['userErrors']!.map(({ code, message }) => `${String(code)} ${String(message)}`).join();
  };
  const week = (more: object) => ({ resources: ann({ ...office, ...more }) });
  expect(await refused({ timeline: null })).toContain('expected a timeline with a start');
  expect(await refused({ timeline: { end: '2099-06-01T00:00:00Z' } })).toContain('expected a timeline with a start');
  expect(await refused({ resources: ann(office, { calendar: [{ fromMs: 1, capacity: 1 }] }) })).toContain('not both');
  expect(await refused(week({ timezone: 'Mars/Base' }))).toContain('IANA time zone');
  expect(await refused(week({ hours: [] }))).toContain('VALIDATION_FAILED');
  const hours = (more: object) => week({ hours: [{ days: ['MONDAY'], start: '09:00', end: '17:00', ...more }] });
  expect(await refused(hours({ start: '24:00' }))).toContain('time of day');
  expect(await refused(hours({ end: '09:00' }))).toContain('expected an end');
  expect(await refused(hours({ days: ['MONDAY', 'MONDAY'] }))).toContain('each day once');
  expect(await refused(hours({ capacity: -1 }))).toContain('VALIDATION_FAILED');
  const off = (...exceptions: object[]) => week({ exceptions });
  expect(await refused(off({ date: '2099-02-30' }))).toContain('VALIDATION_FAILED');
  expect(await refused(off({ date: '2099-03-02', until: '2099-03-01' }))).toContain('until');
  expect(await refused(off({ date: '2099-03-02', until: '2099-03-04' }, { date: '2099-03-04' }))).toContain(
    'one exception',
  );
  const planId = String((await create(planOf().plan))['plan']!['id']);
  const patched = await rig.field(
    alice,
    'mutation ($id: ID!) { updatePlan(planId: $id, patch: { timeline: null }) { plan { version } userErrors { code } } }',
    { id: planId },
  );
  expect(patched).toMatchObject({ plan: null, userErrors: [{ code: 'VALIDATION_FAILED' }] });
});

test('what was taken in is taken in again: kept defaults are read by the same rules', () => {
  const once = workWeek.parse(office);
  expect(workWeek.parse(once)).toEqual(once);
});

test('wall clocks: what is skipped comes later, what comes twice is meant the first time', () => {
  const athens = createInstantOf('Europe/Athens');
  const at = (text: string) => new Date(athens(Date.parse(`${text}Z`))).toISOString();
  expect(at('2026-03-29T02:59')).toBe('2026-03-29T00:59:00.000Z');
  expect(at('2026-03-29T03:30')).toBe('2026-03-29T01:30:00.000Z');
  expect(at('2026-03-29T04:00')).toBe('2026-03-29T01:00:00.000Z');
  expect(at('2026-10-25T03:30')).toBe('2026-10-25T00:30:00.000Z');
  expect(at('2026-10-25T04:00')).toBe('2026-10-25T02:00:00.000Z');
  // Half an hour, and a zone a day ahead.
  expect(new Date(createInstantOf('Australia/Lord_Howe')(Date.parse('2026-07-01T12:00Z'))).toISOString()).toBe(
    '2026-07-01T01:30:00.000Z',
  );
  expect(new Date(createInstantOf('Pacific/Kiritimati')(Date.parse('2026-07-01T12:00Z'))).toISOString()).toBe(
    '2026-06-30T22:00:00.000Z',
  );
});

const clock = fc
  .tuple(fc.nat({ max: 23 }), fc.constantFrom(0, 30))
  .map(([hours, minutes]) => `${String(hours).padStart(2, '0')}:${minutes === 0 ? '00' : '30'}`);
const dayHours = fc
  .record({ start: clock, end: fc.oneof(clock, fc.constant('24:00')), capacity: fc.option(fc.nat({ max: 3 })) })
  .filter(({ start, end }) => start !== end);
const weeks: fc.Arbitrary<WorkWeek> = fc.record({
  timezone: fc.constantFrom('UTC', 'Europe/Athens', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe'),
  hours: fc.array(
    fc
      .tuple(dayHours, fc.uniqueArray(fc.constantFrom(...weekdays), { minLength: 1 }))
      .map(([hours, days]): WeekHours => ({ ...hours, days })),
    { minLength: 1, maxLength: 4 },
  ),
  exceptions: fc
    .option(fc.array(dayHours, { maxLength: 2 }))
    .map((hours) => (hours === null ? [] : [{ date: '2026-03-29', until: '2026-03-30', hours }])),
});

/** Slowly, by the clock of the place, away from the days on which it is changed. */
function capacityByClock(week: WorkWeek, capacity: number, at: number): number {
  const local = (timeMs: number) => {
    const text = new Date(timeMs).toLocaleString('sv-SE', { timeZone: week.timezone });
    return { date: text.slice(0, 10), minutes: Number(text.slice(11, 13)) * 60 + Number(text.slice(14, 16)) };
  };
  const { date, minutes } = local(at);
  const dayBefore = new Date(Date.parse(date) - day).toISOString().slice(0, 10);
  const hoursOf = (of: string) =>
    week.exceptions.find(({ date: from, until }) => of >= from && of <= (until ?? from))?.hours ??
    week.hours.filter(({ days }) => days.includes(weekdays[new Date(of).getUTCDay()]!));
  const minuteOf = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
  let there = 0;
  for (const [of, now] of [
    [date, minutes],
    [dayBefore, minutes + 24 * 60],
  ] as const)
    for (const { start, end, capacity: own } of hoursOf(of)) {
      const [from, until] = [
        minuteOf(start),
        minuteOf(end) > minuteOf(start) ? minuteOf(end) : minuteOf(end) + 24 * 60,
      ];
      if (now >= from && now < until) there += own ?? capacity;
    }
  return there;
}

test('a week comes to what the clock of the place says, from wherever it is looked at', () => {
  // Clocks change on 8 March in New York, on 29 March in Athens, on 5 April on Lord Howe.
  const around = [Date.UTC(2026, 2, 8), Date.UTC(2026, 2, 29), Date.UTC(2026, 3, 4)];
  const isChange = (at: number) => around.some((change) => Math.abs(at - change) < 2 * day);
  fc.assert(
    fc.property(
      weeks,
      fc.nat({ max: 3 }),
      fc.integer({ min: 0, max: 60 * 48 }),
      fc.integer({ min: 1, max: 40 * 48 }),
      (week, capacity, first, length) => {
        const from = Date.UTC(2026, 1, 20) + first * 30 * 60_000;
        const until = from + length * 30 * 60_000;
        const found = listCapacities(week, { capacity, from, until });
        expect(found[0]!.at).toBe(from);
        for (const [at, change] of found.entries()) {
          expect(change.at).toBeLessThan(until);
          if (at === 0) continue;
          expect(change.at).toBeGreaterThan(found[at - 1]!.at);
          expect(change.capacity).not.toBe(found[at - 1]!.capacity);
        }
        for (let step = 0; step < length; step += Math.ceil(length / 20)) {
          const moment = from + step * 30 * 60_000;
          if (isChange(moment)) continue;
          const there = found.findLast(({ at }) => at <= moment)!.capacity;
          expect(there).toBe(capacityByClock(week, capacity, moment));
        }
        // What a run asks for a while is what the plan knew for the year.
        const resource = { id: 'r', capacity, workWeek: week };
        const year = toTimed(resource, { startMs: from });
        const [ahead] = calendarsAt([resource], { started: from, now: until, lengthMs: 6 * hour });
        const start = until - from;
        expect(leastCapacity(ahead!, start, start + 6 * hour)).toBe(leastCapacity(year, start, start + 6 * hour));
      },
    ),
    { numRuns: 200 },
  );
});

test('schedules of short steps keep their unit under a year of weeks', () => {
  const resource = toTimed({ id: 'ann', capacity: 1, workWeek: office as WorkWeek }, { startMs: Date.parse(monday) });
  const steps = [1, 2, 3].map((at) => ({
    id: `${at}`,
    duration: 7_000 * at,
    demands: [{ resourceId: 'ann', amount: 1 }],
  }));
  const { unitMs, problem } = toSchedulingProblem({ steps, dependencies: [], resources: [resource] });
  expect(unitMs).toBeLessThanOrEqual(15_000);
  const offered = (at: number) => resource.calendar!.findLast(({ time }) => time <= at)?.capacity ?? resource.capacity;
  for (const { time, capacity } of problem.resources[0]!.calendar!)
    expect(capacity).toBeLessThanOrEqual(offered(time * unitMs));
});
