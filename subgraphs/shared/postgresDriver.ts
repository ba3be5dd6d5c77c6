import { registerHooks } from 'node:module';
import type Postgres from 'postgres';

type Repair = readonly [from: string, to: string];

/**
 * What of postgres.js 3.4.9 does not survive connections that break, by the text it stands in and the text it should be.
 * All but the answer to a challenge and the number of rows were seen, under test/faults/outages or test/shared/postgresDriver.
 */
const repairs: Readonly<Record<string, readonly Repair[]>> = {
  '/postgres/src/connection.js': [
    // A socket tells of its error before it tells of its end. What was asked between the two was written to nobody: it was
    // never answered, or with the row of another once the connection was opened anew. Nor does a rollback have a socket.
    [
      '  function execute(q) {\n    if (terminated)\n',
      "  function execute(q) {\n    if (isLost())\n      return (queryError(q, Errors.connection('CONNECTION_CLOSED', options)), true)\n\n    if (terminated)\n",
    ],
    ['    cancel,\n    end,\n    count: 0,\n', '    cancel,\n    end,\n    isLost,\n    count: 0,\n'],
    [
      '  function nextWrite(fn) {\n',
      '  function isLost() {\n    return socket === null || socket.destroyed || socket.writableEnded\n  }\n\n' +
        // An answer to a challenge that is computed while the connection closes ended the process.
        '  function nextWrite(fn) {\n    if (socket === null) return (chunk = nextWriteTimer = null, true)\n',
    ],
    // What was not yet written when a connection closed was sent ahead of the next one's startup message, and the timer that
    // was cleared but kept its name held back all that followed.
    [
      '    incomings = null\n    clearImmediate(nextWriteTimer)\n',
      '    incomings = null\n    clearImmediate(nextWriteTimer)\n    chunk = nextWriteTimer = null\n',
    ],
    // All of a closed connection went into the next one: the statement under way, the refusal that ended it, with which the next
    // statement was refused, the number of rows it had, at which those of the next one began. One that waits for its
    // connection was tried again without a pause.
    [
      `    if (initial)
      return reconnect()

    !hadError && (query || sent.length) && error(Errors.connection('CONNECTION_CLOSED', options, socket))
    closedTime = performance.now()
    hadError && options.shared.retries++
    delay = (typeof backoff === 'function' ? backoff(options.shared.retries) : backoff) * 1000
`,
      `    const lost = Errors.connection('CONNECTION_CLOSED', options, socket)
    stream && (stream.destroy(lost), stream = null)
    query && queryError(query, lost)
    while (sent.length)
      queryError(sent.shift(), lost)
    query = errorResponse = results = final = null
    result = new Result()
    rows = 0
    closedTime = performance.now()
    hadError && options.shared.retries++
    delay = (typeof backoff === 'function' ? backoff(options.shared.retries) : backoff) * 1000
    if (initial)
      return reconnect()
`,
    ],
    // A connection that broke while it asked for the array types ended the process.
    ['        return fetchArrayTypes()\n', '        return fetchArrayTypes().catch(() => {})\n'],
  ],
  '/postgres/src/index.js': [
    // A process has one postgres.js: whoever loaded it first decides which.
    ['Object.assign(Postgres, {\n', 'Object.assign(Postgres, {\n  isRepaired: true,\n'],
    // What is not sent yet waits for a connection rather than for one that is about to close.
    [
      '  function go(c, query) {\n',
      '  function go(c, query) {\n    if (c.isLost())\n      return (queries.push(query), move(c, full))\n\n',
    ],
    // A transaction went on on whatever its connection had become: inside the next one's transaction, or each statement by itself.
    ['    let savepoints = 0\n', '    let lost = null\n      , savepoints = 0\n'],
    [
      '        new Promise((_, reject) => connection.onclose = reject)\n',
      `        new Promise((_, reject) => connection.onclose = error => {
          lost = error
          reject(error)
          while (queries.length)
            queries.shift().reject(error)
        })
`,
    ],
    [
      '        q.catch(e => uncaughtError || (uncaughtError = e))\n',
      '        q.catch(e => uncaughtError || (uncaughtError = e))\n        if (lost)\n          return q.reject(lost)\n',
    ],
    // So did a reserved connection; given back after it had closed it was taken for an open one, and refused all it got.
    [
      `    c.reserved.release = true

    const sql = Sql(handler)
    sql.release = () => {
      c.reserved = null
      onopen(c)
    }

    return sql

    function handler(q) {
`,
      `    c.reserved.release = true
    let lost = null
    c.onclose = error => {
      lost = error
      while (queue.length)
        queue.shift().reject(error)
    }

    const sql = Sql(handler)
    sql.release = () => {
      if (lost)
        return

      c.onclose = c.reserved = null
      onopen(c)
    }

    return sql

    function handler(q) {
      if (lost)
        return q.reject(lost)

`,
    ],
  ],
};

/** @throws {Error} where the driver is another than the one that is repaired: then look whether it still has to be. */
function repair(source: string, parts: readonly Repair[]): string {
  let text = source;
  for (const [from, to] of parts) {
    if (text.split(from).length !== 2)
      throw new Error('postgres is not the version that #shared/postgresDriver.ts repairs');
    text = text.replace(from, () => to);
  }
  return text;
}

const hooks = registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    const parts = Object.entries(repairs).find(([path]) => url.endsWith(path))?.[1];
    return parts ? { ...loaded, source: repair(String(loaded.source), parts) } : loaded;
  },
});
const { default: driver } = await import('postgres');
hooks.deregister();
if (!('isRepaired' in driver))
  throw new Error('postgres was loaded past #shared/postgresDriver.ts, and is what it was');

/** Longest pause before a connection that could not be opened is tried again, seconds. */
const longestPauseS = 1;

/**
 * Seconds before a connection is tried again after so many failures of the pool in a row. The driver's own go up to 20, which a
 * pool reaches within a second of an outage: it then answers that much later than the server does.
 */
export const reconnectPause = (failures: number): number =>
  (0.5 + Math.random() / 2) * Math.min(0.01 * 2 ** failures, longestPauseS);

/** postgres.js, repaired. */
const postgres: typeof Postgres = driver;
export default postgres;
