import { buildSubgraphSchema } from '@apollo/subgraph';
import { type GraphQLSchema, parse } from 'graphql';
import {
  isInStock,
  type ProductRow,
  productByUpc,
  products,
  type ReviewRow,
  reviewById,
  reviewsByAuthor,
  reviewsByProduct,
  shippingEstimateOf,
  userById,
  users,
} from './rows.ts';

export const foreignNames = ['users', 'products', 'inventory', 'reviews'] as const;
export type ForeignName = (typeof foreignNames)[number];

/** In the form of Federation 1, which composition upgrades: the one that every peer reads. */
export const foreignTypeDefs: Readonly<Record<ForeignName, string>> = {
  users: `
    extend type Query {
      user(id: ID!): User
      users: [User!]!
    }
    type User @key(fields: "id") {
      id: ID!
      name: String!
      username: String!
      birthYear: Int!
    }`,
  products: `
    extend type Query {
      product(upc: String!): Product
      topProducts(first: Int!): [Product!]!
    }
    type Product @key(fields: "upc") {
      upc: String!
      name: String!
      price: Int!
      weight: Int!
    }`,
  inventory: `
    extend type Product @key(fields: "upc") {
      upc: String! @external
      price: Int! @external
      weight: Int! @external
      inStock: Boolean!
      shippingEstimate: Int! @requires(fields: "price weight")
    }`,
  reviews: `
    type Review @key(fields: "id") {
      id: ID!
      body: String!
      rating: Int!
      author: User!
      product: Product!
    }
    extend type User @key(fields: "id") {
      id: ID! @external
      reviews: [Review!]!
    }
    extend type Product @key(fields: "upc") {
      upc: String! @external
      reviews: [Review!]!
    }`,
};

type ProductReference = Pick<ProductRow, 'upc' | 'price' | 'weight'>;

const resolvers = {
  users: {
    Query: { user: (_: unknown, { id }: { id: string }) => userById.get(id) ?? null, users: () => users },
    User: { __resolveReference: ({ id }: { id: string }) => userById.get(id) ?? null },
  },
  products: {
    Query: {
      product: (_: unknown, { upc }: { upc: string }) => productByUpc.get(upc) ?? null,
      topProducts: (_: unknown, { first }: { first: number }) => products.slice(0, Math.max(0, first)),
    },
    Product: { __resolveReference: ({ upc }: { upc: string }) => productByUpc.get(upc) ?? null },
  },
  inventory: {
    Product: {
      __resolveReference: (reference: ProductReference) => reference,
      inStock: ({ upc }: ProductReference) => isInStock(upc),
      shippingEstimate: (reference: ProductReference) => shippingEstimateOf(reference),
    },
  },
  reviews: {
    Review: {
      __resolveReference: ({ id }: { id: string }) => reviewById.get(id) ?? null,
      author: ({ authorId }: ReviewRow) => ({ id: authorId }),
      product: ({ upc }: ReviewRow) => ({ upc }),
    },
    User: {
      __resolveReference: ({ id }: { id: string }) => ({ id }),
      reviews: ({ id }: { id: string }) => reviewsByAuthor.get(id) ?? [],
    },
    Product: {
      __resolveReference: ({ upc }: { upc: string }) => ({ upc }),
      reviews: ({ upc }: { upc: string }) => reviewsByProduct.get(upc) ?? [],
    },
  },
};

/** Executable schemas of the foreign subgraphs, by name. */
export function buildForeignSchemas(): ReadonlyMap<ForeignName, GraphQLSchema> {
  return new Map(
    foreignNames.map((name) => [
      name,
      buildSubgraphSchema([{ typeDefs: parse(foreignTypeDefs[name]), resolvers: resolvers[name] }]),
    ]),
  );
}
