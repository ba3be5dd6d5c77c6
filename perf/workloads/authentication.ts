import type { Random } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';
import { type CreateWorkload, type GraphqlCall, readPath } from '../load/workload.ts';
import { perfTenant } from '../seeds/context.ts';

export interface AuthenticationParams {
  /** Token of each subject, by its number. */
  readonly tokens: readonly string[];
  /** Tokens that no request of the run has shown before, each with the number of its subject. */
  readonly fresh: readonly { readonly subject: number; readonly token: string }[];
}

const me = 'query Me { me { tenantId subject subjectType roles scopes expiresAt } }';
const freshShare = 0.1;
const forgedShare = 0.01;

export const subjectName = (subject: number): string => `subject-${subject}`;

/** The token with another signature than its own. */
export function forged(token: string): string {
  const at = token.lastIndexOf('.') + 1;
  const other = token[at] === 'A' ? 'B' : 'A';
  return `${token.slice(0, at)}${other}${token.slice(at + 1)}`;
}

/** Callers by Zipf who ask whom they are taken for; a tenth come with a token that is new, one in a hundred with a forged one. */
export const createWorkload: CreateWorkload<AuthenticationParams> = ({ tokens, fresh }) => {
  const zipf = createZipf(tokens.length);
  const headersOf = tokens.map((token) => ({ authorization: `Bearer ${token}` }));
  const seen = new Set<number>();
  const facts = { asked: 0, verified: 0, forged: 0, repeated: 0 };
  let nextFresh = 0;

  function call(subject: number, headers: { readonly authorization: string }): GraphqlCall {
    const name = subjectName(subject);
    return {
      query: me,
      headers,
      check({ data }) {
        const found = readPath(data, 'me', 'subject');
        const tenant = readPath(data, 'me', 'tenantId');
        return (
          (found === name && tenant === perfTenant) || `expected ${name} of ${perfTenant}, got ${found} of ${tenant}`
        );
      },
    };
  }

  function next(random: Random): GraphqlCall {
    facts.asked += 1;
    const subject = zipf.sample(random);
    const draw = random.next();
    if (draw < forgedShare) {
      facts.forged += 1;
      const token = tokens[subject]!;
      return {
        query: me,
        headers: { authorization: `Bearer ${forged(token)}` },
        acceptErrors: true,
        check: ({ errors }) =>
          errors?.[0]?.extensions?.code === 'UNAUTHENTICATED' || 'a token with another signature was taken',
      };
    }
    if (draw < forgedShare + freshShare) {
      const one = fresh[nextFresh % fresh.length]!;
      if (nextFresh < fresh.length) facts.verified += 1;
      else facts.repeated += 1;
      nextFresh += 1;
      return call(one.subject, { authorization: `Bearer ${one.token}` });
    }
    if (!seen.has(subject)) {
      seen.add(subject);
      facts.verified += 1;
    }
    return call(subject, headersOf[subject]!);
  }
  return { operations: [{ name: 'authenticate', weight: 1, next }], facts: () => facts };
};
