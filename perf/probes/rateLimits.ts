/**
 * What rate limiting costs a request, on this machine: `node perf/probes/rateLimits.ts [requests of a round] [rounds]`.
 *
 * What the gateway does for each request from outside: it looks whether the address has anything left, weighs the operation,
 * takes its cost of the buckets of subject and address, and writes the headers. With the limits on and off in turn, in one
 * run; the figure is the difference of the CPU times, of which each is the median of its rounds. With a Redis in common, where
 * there is one, requests share leases: the round trips are a few for each caller and window.
 */
import { readFileSync } from 'node:fs';
import { buildSchema, Kind, parse } from 'graphql';
import { createPrincipal } from '#shared/principal.ts';
import { createAdmission, type Limiters, rateLimitHeaders } from '../../gateway/limits/admission.ts';
import { createRateLimiter } from '../../gateway/limits/rateLimiter.ts';
import { costOf, createToll } from '../../gateway/limits/toll.ts';
import { openRedis } from '../../gateway/quickRedis.ts';
import { figure } from '../figure.ts';
import { startRedisProcess } from '../redisProcess.ts';
import { tellFigures } from './tellFigures.ts';

const requestsPerRound = Number(process.argv[2] ?? 20_000);
const rounds = Number(process.argv[3] ?? 15);
/** As the configuration has it where it says nothing. */
const [subjectLimit, addressLimit, windowMs, maxCost] = [100_000, 1_000_000, 10_000, 20_000];

const schema = buildSchema(readFileSync(new URL('../../schema/api.graphql', import.meta.url), 'utf8'), {
  assumeValid: true,
});
const document = parse(
  'query ($id: ID!) { context(id: $id) { id name status participants(first: 10) { nodes { id } } } }',
);
const operation = document.definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION)!;

interface Caller {
  readonly principal: ReturnType<typeof createPrincipal>;
  readonly address: string;
}

const callers = (count: number): readonly Caller[] =>
  Array.from({ length: count }, (_, at) => ({
    principal: createPrincipal({ tenantId: `tenant-${at % 10}`, subject: `agent-${at}` }),
    address: `10.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}`,
  }));

type Connection = Awaited<ReturnType<typeof openRedis>>;

function openLimiters(redis: Connection | undefined): Limiters {
  const limiter = (name: string, limit: number) => createRateLimiter({ name, limit, windowMs, redis });
  return { subject: limiter('probe:subject', subjectLimit), address: limiter('probe:address', addressLimit) };
}

const medianOf = (values: readonly number[]) => values.toSorted((one, other) => one - other)[values.length >> 1]!;

/** CPU of a request with the limits on and off, us. */
async function measure(who: readonly Caller[], redis?: Connection): Promise<{ on: number; off: number }> {
  const admissions = {
    on: createAdmission({ schema, maxCost }, openLimiters(redis)),
    off: createAdmission({ schema, maxCost }, null),
  };
  const asked = { on: 0, off: 0 };
  let written = 0;

  async function request(kind: keyof typeof admissions): Promise<void> {
    const admission = admissions[kind];
    const caller = who[asked[kind]++ % who.length]!;
    // As the gateway awaits them: only what is a promise.
    const charged = admission.chargeAddress(caller.address, 0);
    if (charged !== undefined) await charged;
    const toll = createToll(admission, caller);
    const paid = toll.pay(document, operation, { id: String(asked[kind]) });
    if (paid !== undefined) await paid;
    if (toll.standing) written += Object.keys(rateLimitHeaders(toll.standing)).length;
    written += costOf(toll)!.requested;
  }

  async function round(kind: keyof typeof admissions): Promise<number> {
    const began = process.cpuUsage();
    for (let count = 0; count < requestsPerRound; count += 1) await request(kind);
    const { user, system } = process.cpuUsage(began);
    return (user + system) / requestsPerRound;
  }

  const found = { on: [] as number[], off: [] as number[] };
  for (const kind of ['on', 'off'] as const) await round(kind);
  for (let at = 0; at < rounds; at += 1)
    for (const kind of at % 2 === 0 ? (['on', 'off'] as const) : (['off', 'on'] as const))
      found[kind].push(await round(kind));
  if (written === 0) throw new Error('nothing was asked');
  return { on: medianOf(found.on), off: medianOf(found.off) };
}

const us = (value: number) => Number(value.toFixed(2));
const rows: Record<string, string | number>[] = [];

async function tell(name: string, who: readonly Caller[], redis?: Connection): Promise<void> {
  const { on, off } = await measure(who, redis);
  rows.push({ what: name, onUs: us(on), offUs: us(off), differenceUs: us(on - off) });
  tellFigures(
    figure(`rate limiting of a request, ${name}`, us(on - off), 'us CPU', {
      below: 100,
      note: `with limits ${us(on)} us, without ${us(off)} us, in turn; median of ${rounds} rounds of ${requestsPerRound}; perf/probes/rateLimits.ts`,
    }),
  );
}

await tell('100 callers', callers(100));
// More than are remembered: each has its buckets made and leased anew.
await tell('each by a caller not remembered', callers(120_000));
const server = await startRedisProcess();
if (server) {
  const redis = await openRedis(server.url, { maxRetriesPerRequest: 0 });
  await tell('100 callers, Redis in common', callers(100), redis);
  redis.disconnect();
  await server.stop();
}
console.table(rows);
