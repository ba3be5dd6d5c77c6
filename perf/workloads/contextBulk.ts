import { type CreateWorkload, readPath, type Verdict, withoutUserErrors } from '../load/workload.ts';
import { contextInput } from './context.ts';

export interface ContextBulkParams {
  readonly token: string;
  readonly contextsPerRequest: number;
}

const createContexts = `mutation CreateContexts($inputs: [CreateContextInput!]!) {
  createContexts(inputs: $inputs) { created failed results { context { id title } error { code message } } userErrors { code message } }
}`;

/** Requests that create many contexts each. */
export const createWorkload: CreateWorkload<ContextBulkParams> = ({ token, contextsPerRequest }) => {
  const headers = { authorization: `Bearer ${token}` };
  return {
    operations: [
      {
        name: 'create_contexts',
        weight: 1,
        next(random) {
          const inputs = Array.from({ length: contextsPerRequest }, () => contextInput(random));
          return {
            query: createContexts,
            variables: { inputs },
            headers,
            check(response): Verdict {
              const clean = withoutUserErrors(response, 'createContexts');
              if (clean !== true) return clean;
              const payload = readPath(response.data, 'createContexts');
              const results = readPath(payload, 'results') as { context: { title: string } | null }[];
              if (readPath(payload, 'created') !== inputs.length)
                return `created ${readPath(payload, 'created')}: ${JSON.stringify(results[0])}`;
              const titles = new Set(results.map((result) => result.context?.title));
              return (
                inputs.every((input) => titles.has(String(input['title']))) || 'a context is missing in the answer'
              );
            },
          };
        },
      },
    ],
  };
};
