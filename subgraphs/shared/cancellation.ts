import { AsyncLocalStorage } from 'node:async_hooks';

/** A statement under way: cancelling one that has ended does nothing. */
interface Statement {
  cancel(): void;
}

/** The statements of one query, to be cancelled together when nobody waits for its answer any more. */
export class Cancellation {
  #statements: Statement[] = [];
  #cancelled = false;

  /** What is given up sends nothing any more. @throws {Error} of the code 57014, as the server answers one it has cancelled. */
  throwIfCancelled(): void {
    if (this.#cancelled) throw Object.assign(new Error('canceling statement due to user request'), { code: '57014' });
  }

  /** One that comes too late is cancelled at once. */
  watch(statement: Statement): void {
    if (this.#cancelled) statement.cancel();
    else this.#statements.push(statement);
  }

  cancel(): void {
    this.#cancelled = true;
    const statements = this.#statements;
    this.#statements = [];
    for (const statement of statements) statement.cancel();
  }
}

const storage = new AsyncLocalStorage<Cancellation | undefined>();

/** Runs what may be given up: statements of `#shared/sql.ts` that start in it are watched. */
export function runCancellable<T>(cancellation: Cancellation, work: () => T): T {
  return storage.run(cancellation, work);
}

/** Runs what others wait for too: whoever happened to ask first does not take it away from them. */
export function runForAll<T>(work: () => T): T {
  return storage.getStore() === undefined ? work() : storage.run(undefined, work);
}

export function currentCancellation(): Cancellation | undefined {
  return storage.getStore();
}
