/** The process of the subscribers: started by `openAudience`, never by hand. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createHistogram } from '../load/histogram.ts';
import { createRandom } from '../load/random.ts';
import { createDeliveryChecker } from './checker.ts';
import { createMessageReader } from './messageReader.ts';
import { type Arrival, createSubscriber, type Subscriber } from './subscriber.ts';
import type {
  AudienceFinish,
  AudienceProgress,
  AudienceReport,
  AudienceSpec,
  CutPlan,
  FromAudience,
  ToAudience,
} from './subscriberMessages.ts';

const connectConcurrency = 50;
const progressEveryMs = 200;
/** Longest absence of a subscriber that was cut. */
const maxAwayMs = 400;

interface Member {
  readonly name: string;
  readonly dialogId: string;
  readonly subscriber: Subscriber;
  readonly arrivals: Arrival[];
  /** Highest sequence it has got. */
  reached: number;
  cut: boolean;
}

function addTo(counts: { [name: string]: number }, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

function createAudience(spec: AudienceSpec) {
  const random = createRandom(spec.seed);
  const checker = createDeliveryChecker();
  const closed: { [code: string]: number } = {};
  const errors: { [error: string]: number } = {};
  const members: Member[] = [];
  const timers = new Set<NodeJS.Timeout>();
  let cpuFrom = process.cpuUsage();
  let deliveries = 0;
  let cuts = 0;
  let resumed = 0;
  let firstMs = 0;
  let lastMs = 0;

  for (const { dialogId, cursor, authorizations } of spec.dialogs) {
    const reader = createMessageReader(dialogId);
    for (const authorization of authorizations) {
      const operationId = `s${String(members.length).padStart(6, '0')}`;
      const name = `subscriber ${members.length}`;
      const subscriber = createSubscriber({
        wsUrl: spec.wsUrl,
        dialogId,
        authorization,
        cursor,
        operationId,
        reader,
        received(arrival) {
          if (deliveries === 0) firstMs = arrival.atMs;
          lastMs = arrival.atMs;
          deliveries += 1;
          member.arrivals.push(arrival);
          member.reached = Math.max(member.reached, arrival.message.sequence);
          checker.received(name, dialogId, arrival.message);
        },
        resumed() {
          resumed += 1;
          // The cursor is that of the last message, in whatever order they came.
          checker.resumed(name, dialogId, member.arrivals.at(-1)?.message.sequence ?? 0);
        },
        closed: (code) => addTo(closed, String(code)),
        failed: (detail) => addTo(errors, detail),
      });
      const member: Member = { name, dialogId, subscriber, arrivals: [], reached: 0, cut: false };
      checker.subscribed(name, dialogId);
      members.push(member);
    }
  }

  function cutAgain(member: Member, plan: CutPlan): void {
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        cuts += 1;
        member.cut = true;
        member.subscriber.cut(random.integer(maxAwayMs));
        cutAgain(member, plan);
      },
      // At any moment, so also while it is still away or catching up.
      Math.max(10, random.exponential(plan.everyMs)),
    );
    timers.add(timer);
  }

  function stopCutting(): void {
    for (const timer of timers) clearTimeout(timer);
    timers.clear();
  }

  function latencies({ acknowledgedMs, committedMs }: AudienceFinish) {
    const answered = new Map(acknowledgedMs);
    const committed = new Map(committedMs);
    const sinceCommitted = createHistogram();
    const sinceAcknowledged = createHistogram();
    const sinceCreated = createHistogram();
    const replayWait = createHistogram();
    let replayed = 0;
    let untimed = 0;
    for (const { arrivals } of members) {
      let waitedFor: number | null = null;
      for (const { message, atMs, epochMs, resumedAtMs } of arrivals) {
        if (resumedAtMs !== null && message.createdAtMs <= resumedAtMs) {
          replayed += 1;
          if (waitedFor !== resumedAtMs) replayWait.record(epochMs - resumedAtMs);
          waitedFor = resumedAtMs;
          continue;
        }
        const committedAtMs = committed.get(message.cursor);
        if (committedAtMs === undefined) untimed += 1;
        else sinceCommitted.record(atMs - committedAtMs);
        sinceCreated.record(epochMs - message.createdAtMs);
        const answeredMs = answered.get(message.id);
        if (answeredMs !== undefined) sinceAcknowledged.record(atMs - answeredMs);
      }
    }
    return {
      ...{ replayed, untimed },
      sinceCommitted: committedMs === null ? null : sinceCommitted.toData(),
      sinceAcknowledged: sinceAcknowledged.toData(),
      sinceCreated: sinceCreated.toData(),
      replayWait: replayWait.toData(),
    };
  }

  const progress = (): AudienceProgress => ({ deliveries, cuts, resumed });
  return {
    progress,
    async open(): Promise<void> {
      let next = 0;
      const openSome = async (): Promise<void> => {
        while (next < members.length) await members[next++]!.subscriber.open();
      };
      await Promise.all(Array.from({ length: Math.min(members.length, connectConcurrency) }, openSome));
      cpuFrom = process.cpuUsage();
    },
    cut(plan: CutPlan): void {
      for (const group of Map.groupBy(members, ({ dialogId }) => dialogId).values()) {
        const left = [...group];
        for (let count = Math.ceil(group.length * plan.share); count > 0; count -= 1)
          cutAgain(left.splice(random.integer(left.length), 1)[0]!, plan);
      }
    },
    async finish(finish: AudienceFinish): Promise<AudienceReport> {
      stopCutting();
      const lengths = new Map(finish.lengths);
      const waits = (): boolean => members.some((member) => member.reached < (lengths.get(member.dialogId) ?? 0));
      let before = deliveries;
      let quietSinceMs = performance.now();
      while (waits() && performance.now() - quietSinceMs < finish.patienceMs) {
        await sleep(20);
        if (deliveries !== before) quietSinceMs = performance.now();
        before = deliveries;
      }
      // What comes too often comes now.
      await sleep(maxAwayMs);
      for (const { subscriber } of members) subscriber.end();
      const used = process.cpuUsage(cpuFrom);
      return {
        ...progress(),
        subscribers: members.length,
        subscribersCut: members.filter((member) => member.cut).length,
        findings: checker.check(finish.record),
        ...latencies(finish),
        windowMs: lastMs - firstMs,
        closed,
        errors,
        cpuMs: (used.user + used.system) / 1000,
      };
    },
  };
}

// The parent may have gone: there is nobody to tell then.
const tell = (message: FromAudience): void => void (process.connected && process.send?.(message, () => {}));

function fail(error: unknown): void {
  tell({ type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

// A terminal interrupts the whole group: the parent decides when this process ends, by disconnecting.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));
let audience: ReturnType<typeof createAudience> | null = null;
process.on('message', (message: ToAudience) => {
  switch (message.type) {
    case 'start': {
      const opened = createAudience(message.spec);
      audience = opened;
      opened.open().then(() => {
        tell({ type: 'subscribed' });
        setInterval(() => tell({ type: 'progress', progress: opened.progress() }), progressEveryMs).unref();
      }, fail);
      return;
    }
    case 'cut':
      audience?.cut(message.plan);
      return;
    case 'finish':
      audience?.finish(message.finish).then((report) => tell({ type: 'report', report }), fail);
  }
});
