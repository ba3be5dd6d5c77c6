import { readFileSync } from 'node:fs';
import type { CreateWorkload } from '../load/workload.ts';

export interface PeerWorkloadParams {
  readonly operation: string;
  /** Bodies in turn, each with the one answer that is right, to the byte. */
  readonly questions: readonly { readonly body: string; readonly own: string }[];
  /** JSON array of tokens used in turn; null: opaque values, each once. */
  readonly tokensFile: string | null;
  /** Requests that were sent to this peer before: no Authorization comes again too soon. */
  readonly from: number;
}

/** One operation, with another Authorization in each request. */
export const createWorkload: CreateWorkload<PeerWorkloadParams> = ({ operation, questions, tokensFile, from }) => {
  const tokens = tokensFile === null ? null : (JSON.parse(readFileSync(tokensFile, 'utf8')) as string[]);
  let sent = 0;
  return {
    operations: [
      {
        name: operation,
        weight: 1,
        next() {
          const { body, own } = questions[sent % questions.length]!;
          const number = from + sent;
          sent += 1;
          return {
            method: 'POST',
            path: '/graphql',
            headers: {
              'content-type': 'application/json',
              accept: 'application/json',
              authorization: `Bearer ${tokens === null ? `opaque-${number}` : tokens[number % tokens.length]}`,
            },
            body,
            checkBody: (answer, status) =>
              (status === 200 && answer === own) || `status ${status}, another answer: ${answer.slice(0, 200)}`,
          };
        },
      },
    ],
    facts: () => ({ sent }),
  };
};
