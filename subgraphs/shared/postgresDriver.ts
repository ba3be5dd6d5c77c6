import { registerHooks } from 'node:module';
import type Postgres from 'postgres';

/**
 * What of postgres.js 3.4.9 does not survive a server that restarts, by the text it stands in and the text it should be. All
 * three were seen under test/faults/outages; each is told upstream in the words of its comment.
 */
const repairs: readonly (readonly [from: string, to: string])[] = [
  // The rollback of a transaction whose connection has closed was written to no socket, which ended the process.
  [
    '  function execute(q) {\n    if (terminated)\n',
    "  function execute(q) {\n    if (socket === null)\n      return (queryError(q, Errors.connection('CONNECTION_CLOSED', options)), true)\n\n    if (terminated)\n",
  ],
  // What was not yet written when a connection closed was sent ahead of the next one's startup message, and the timer that
  // was cleared but kept its name held back all that followed.
  [
    '    incomings = null\n    clearImmediate(nextWriteTimer)\n',
    '    incomings = null\n    clearImmediate(nextWriteTimer)\n    chunk = nextWriteTimer = null\n',
  ],
];

/** @throws {Error} where the driver is another than the one that is repaired: then look whether it still has to be. */
function repair(source: string): string {
  let text = source;
  for (const [from, to] of repairs) {
    if (!text.includes(from)) throw new Error('postgres is not the version that #shared/postgresDriver.ts repairs');
    text = text.replace(from, to);
  }
  return text;
}

const hooks = registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    return url.endsWith('/postgres/src/connection.js') ? { ...loaded, source: repair(String(loaded.source)) } : loaded;
  },
});
const { default: driver } = await import('postgres');
hooks.deregister();

/** postgres.js, repaired. */
const postgres: typeof Postgres = driver;
export default postgres;
