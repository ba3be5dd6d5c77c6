import { z } from 'zod';
import { addressList, count, flag, originList, zeroOrMore } from './forms.ts';

/** What one request, one subject and one address may ask for. */
export const requestVariables = {
  MAX_BODY_BYTES: { schema: count.default(1_048_576), description: 'request body limit, bytes' },
  MAX_BULK_BODY_BYTES: {
    schema: count.default(16_777_216),
    description: 'request body limit of import and bulk operations, bytes',
  },
  TRUSTED_DOCUMENTS_FILE: {
    schema: z.string().optional(),
    description: 'JSON of documents that clients name by id: { id: document } or an Apollo manifest',
  },
  TRUSTED_DOCUMENTS_ONLY: {
    schema: flag.default(false),
    description: 'whether callers from outside may run the documents of that file alone',
  },
  MAX_QUERY_TOKENS: { schema: count.default(1_000), description: 'tokens of a document' },
  MAX_QUERY_DEPTH: { schema: count.default(12), description: 'levels of fields of an operation' },
  MAX_QUERY_ALIASES: { schema: zeroOrMore.default(20), description: 'aliases of an operation, fragments expanded' },
  MAX_QUERY_ROOT_FIELDS: { schema: count.default(10), description: 'root fields of an operation' },
  MAX_QUERY_DIRECTIVES: { schema: zeroOrMore.default(9), description: 'directives of an operation' },
  MAX_QUERY_COST: {
    schema: count.default(20_000),
    description: 'cost of one operation: about the objects its answer may hold',
  },
  RATE_LIMIT: { schema: flag.default(true), description: 'whether subjects and addresses are held to a rate of cost' },
  RATE_LIMIT_WINDOW_MS: { schema: count.min(1_000).default(10_000), description: 'window of the rates, ms' },
  RATE_LIMIT_SUBJECT: { schema: count.default(100_000), description: 'cost a subject may spend in a window' },
  QUERY_TIMEOUT_MS: {
    schema: count.default(10_000),
    description: 'ms a query has until it is answered with DEADLINE_EXCEEDED and its statements are cancelled',
  },
  RATE_LIMIT_ADDRESS: { schema: count.default(1_000_000), description: 'cost an address may spend in a window' },
  TRUST_PROXY: {
    schema: addressList.optional(),
    description: 'addresses or networks of proxies whose x-forwarded-for is believed, comma separated',
  },
  CORS_ORIGINS: {
    schema: originList.default([]),
    description:
      'origins (https://app.example) whose pages may ask beside the own one, comma separated; none by default',
  },
  SUBSCRIPTIONS_PER_CONNECTION: {
    schema: count.default(20),
    description: 'operations at once on one WebSocket, streams on one HTTP connection',
  },
  SUBSCRIPTIONS_PER_SUBJECT: {
    schema: count.default(200),
    description: 'subscriptions of one subject at once on this instance, over all its connections and transports',
  },
  SUBSCRIPTIONS_PER_INSTANCE: {
    schema: count.default(20_000),
    description: 'subscriptions this instance carries at once',
  },
} as const;
