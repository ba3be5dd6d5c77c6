import { products } from './rows.ts';

export const operationNames = ['light', 'two-hop', 'heavy'] as const;
export type OperationName = (typeof operationNames)[number];

export interface PeerOperation {
  readonly title: string;
  readonly query: string;
  /** Asked in turn. */
  readonly variables: readonly Readonly<Record<string, unknown>>[];
}

const everyProduct = products.map(({ upc }) => ({ upc }));

export const peerOperations: Readonly<Record<OperationName, PeerOperation>> = {
  light: {
    title: 'one entity of one subgraph',
    query: 'query Light($upc: String!) { product(upc: $upc) { upc name price weight } }',
    variables: everyProduct,
  },
  'two-hop': {
    title: 'an entity, and what a second subgraph knows of it',
    query: 'query TwoHop($upc: String!) { product(upc: $upc) { name price reviews { id rating body } } }',
    variables: everyProduct,
  },
  // Price and weight are asked for beside shippingEstimate: Mercurius fetches nothing for @requires that is not.
  heavy: {
    title: 'lists nested through all four subgraphs',
    query: `query Heavy($first: Int!) {
  users {
    id username name
    reviews {
      id body
      product { upc name price weight inStock shippingEstimate reviews { id body author { id username name } } }
    }
  }
  topProducts(first: $first) {
    upc name weight price inStock shippingEstimate
    reviews { id body author { id username name reviews { id body product { upc name } } } }
  }
}`,
    variables: [{ first: 4 }, { first: 5 }, { first: 6 }],
  },
};

/** The body that asks for it. */
export function bodyOf(name: OperationName, variables: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ query: peerOperations[name].query, variables });
}
