import { transactionRetry } from './retry.ts';

/** Runs a batch; where the database refuses the data of one item (SQLSTATE 22), each runs alone, so that only it fails. */
export async function isolateFailures<Item, Result>(
  items: readonly Item[],
  run: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>,
): Promise<readonly (Result | Error)[]> {
  try {
    return await transactionRetry.execute(() => run(items));
  } catch (error) {
    if (items.length === 1 || !isDataException(error)) throw error;
    const results: (Result | Error)[] = [];
    for (const item of items) {
      try {
        results.push((await transactionRetry.execute(() => run([item])))[0]!);
      } catch (alone) {
        results.push(alone instanceof Error ? alone : new Error(String(alone)));
      }
    }
    return results;
  }
}

function isDataException(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^(22|54)/.test(error.code)
  );
}
