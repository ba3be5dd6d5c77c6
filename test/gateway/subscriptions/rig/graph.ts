import { composeServices } from '@apollo/composition';
import { LocalGraphQLDataSource } from '@apollo/gateway';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { type DocumentNode, GraphQLError, parse } from 'graphql';
import type { DataSources } from '../../../../gateway/subscriptions/planner.ts';

const link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])';

const dialogTypes = parse(`${link}
  type Query { message(id: ID!): Message }
  type Mutation { setTopic(topic: String!): String! }
  type Subscription {
    messageAdded(dialogId: ID!, after: String): MessageAdded!
    typing(dialogId: ID!): Typing!
  }
  type MessageAdded { cursor: String! sequence: Int! message: Message! }
  type Typing { subject: String! }
  enum Kind { TEXT LINK }
  interface Part { kind: Kind! }
  type TextPart implements Part { kind: Kind! text: String! }
  type LinkPart implements Part { kind: Kind! url: String! }
  type Message @key(fields: "id") {
    id: ID!
    text: String!
    parts: [Part!]
    replyTo: Message
    length: Int!
    excerpt(max: Int!): String!
    broken: String
    context: Context
  }
  type Context @key(fields: "id", resolvable: false) { id: ID! }
`);

const contextTypes = parse(`${link}
  type Query { context(id: ID!): Context }
  type Context @key(fields: "id") { id: ID! name: String! failing: String forbidden: String slow: String viewer: String }
`);

export interface Calls {
  /** How often each subgraph was asked. */
  dialog: number;
  context: number;
  /** Milliseconds that `Context.slow` takes, by id. */
  readonly slowMs: Map<string, number>;
}

/** Two composed subgraphs with resolvers, and what was asked of them. */
export function createTestGraph() {
  const calls: Calls = { dialog: 0, context: 0, slowMs: new Map() };
  const texts = new Map<string, string>();
  const textOf = (message: { id: string }): string => texts.get(message.id) ?? '';
  const dialog = buildSubgraphSchema([
    {
      typeDefs: dialogTypes,
      resolvers: {
        Query: { message: (_: unknown, { id }: { id: string }) => ({ id }) },
        Message: {
          __resolveReference: ({ id }: { id: string }) => ({ id }),
          text: textOf,
          length: (message: { id: string }) => textOf(message).length,
          excerpt: (message: { id: string }, { max }: { max: number }) => textOf(message).slice(0, max),
          broken: () => {
            throw new Error('password=hunter2');
          },
        },
      },
    },
  ]);
  const context = buildSubgraphSchema([
    {
      typeDefs: contextTypes,
      resolvers: {
        Context: {
          __resolveReference: ({ id }: { id: string }) => ({ id }),
          name: ({ id }: { id: string }) => `name of ${id}`,
          failing: () => {
            throw new Error('connect ECONNREFUSED 10.0.0.7');
          },
          forbidden: () => {
            throw new GraphQLError('Not for you.', { extensions: { code: 'PERMISSION_DENIED' } });
          },
          slow: async ({ id }: { id: string }) => {
            await new Promise((resolve) => setTimeout(resolve, calls.slowMs.get(id) ?? 0));
            return `slow ${id}`;
          },
          viewer: (_: unknown, __: unknown, { subject }: { subject: string }) => subject,
        },
      },
    },
  ]);
  const counted = (name: 'dialog' | 'context', schema: typeof dialog) => {
    const source = new LocalGraphQLDataSource(schema);
    return {
      process: async (...[options]: Parameters<typeof source.process>) => {
        calls[name]++;
        return source.process(options);
      },
    };
  };
  const dataSources: DataSources = { dialog: counted('dialog', dialog), context: counted('context', context) };
  return { supergraphSdl: compose(dialogTypes, contextTypes), dataSources, calls, texts };
}

function compose(dialog: DocumentNode, context: DocumentNode): string {
  const result = composeServices([
    { name: 'dialog', typeDefs: dialog, url: 'http://dialog' },
    { name: 'context', typeDefs: context, url: 'http://context' },
  ]);
  if (result.supergraphSdl === undefined) throw new Error(JSON.stringify(result.errors));
  return result.supergraphSdl;
}
