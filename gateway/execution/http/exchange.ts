import type { Dispatcher } from 'undici';

/** The answer to one question, whole. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Question {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

export interface Exchange {
  readonly answer: Promise<Answer>;
  /** Whether some of the answer has come: then the question was heard. */
  hasBegun(): boolean;
  /** Rejects the answer and ends what is under way, or what would be; again, or afterwards, it changes nothing. */
  giveUp(reason: Error): void;
}

/**
 * Posts a text and collects the answer. Below `request` of undici, which makes a stream, a resource of async_hooks and
 * listeners of a signal for each answer.
 */
export function beginExchange(pool: Dispatcher, question: Question): Exchange {
  let controller: Dispatcher.DispatchController | null = null;
  let givenUp: Error | null = null;
  let reject: (reason: Error) => void;
  let status = 0;
  const answer = new Promise<Answer>((resolve, rejectAnswer) => {
    reject = rejectAnswer;
    let first: Buffer | null = null;
    let chunks: Buffer[] | null = null;
    pool.dispatch(
      { method: 'POST', ...question },
      {
        onRequestStart(started) {
          controller = started;
          if (givenUp !== null) started.abort(givenUp);
        },
        onResponseStart(_controller, statusCode) {
          status = statusCode;
        },
        onResponseData(_controller, chunk) {
          if (first === null) first = chunk;
          else if (chunks === null) chunks = [first, chunk];
          else chunks.push(chunk);
        },
        onResponseEnd() {
          const bytes = chunks === null ? first : Buffer.concat(chunks);
          resolve({ status, text: bytes === null ? '' : bytes.toString('utf8') });
        },
        onResponseError: (_controller, error) => rejectAnswer(error),
      },
    );
  });
  return {
    answer,
    hasBegun: () => status !== 0,
    giveUp(reason) {
      givenUp ??= reason;
      reject(reason);
      controller?.abort(reason);
    },
  };
}
