/** An iterator that yields nothing: results go past it, and it ends when the operation does. */
export interface OperationStream extends AsyncGenerator<never, void, undefined> {
  finish(): void;
  failWith(error: Error): void;
}

/** `onReturn` is called once when the consumer stops first. */
export function createOperationStream(onReturn: () => void): OperationStream {
  const ended = Promise.withResolvers<IteratorResult<never, void>>();
  // A failure before anybody waits for the next result must not count as unhandled.
  ended.promise.catch(() => {});
  let over = false;
  const done = { done: true, value: undefined } as const;
  const settle = (action: () => void): void => {
    if (over) return;
    over = true;
    action();
  };
  return {
    next: () => ended.promise,
    return: async () => {
      settle(() => {
        ended.resolve(done);
        onReturn();
      });
      return done;
    },
    throw: async (error) => {
      settle(() => {
        ended.reject(error);
        onReturn();
      });
      return done;
    },
    finish: () => settle(() => ended.resolve(done)),
    failWith: (error) => settle(() => ended.reject(error)),
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      await this.return();
    },
  };
}
