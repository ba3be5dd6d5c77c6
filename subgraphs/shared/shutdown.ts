/**
 * Ends the process in order at the first SIGTERM or SIGINT, also while it still starts. Later ones change nothing: npm
 * hands on the SIGINT that the terminal has sent already. What does not end in time is left behind with exit code 1.
 */
export function closeOnSignal(close: () => Promise<void>, { deadlineMs }: { readonly deadlineMs: number }): void {
  let closing = false;
  const onSignal = (): void => {
    if (closing) return;
    closing = true;
    setTimeout(() => exit(1, `not closed within ${deadlineMs} ms`), deadlineMs).unref();
    close().then(
      () => process.exit(0),
      (error: unknown) => exit(1, error instanceof Error ? error.message : String(error)),
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** Breaks off a start at its next step, or closes what has started. */
export async function closeStarted(
  starting: Promise<{ close(): Promise<void> }>,
  stopping: AbortController,
): Promise<void> {
  stopping.abort();
  const started = await starting.catch(() => null);
  await started?.close();
}

function exit(code: number, reason: string): never {
  process.stderr.write(`${reason}\n`);
  process.exit(code);
}
