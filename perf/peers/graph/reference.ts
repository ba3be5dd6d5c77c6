import { buildSchema, executeSync, parse, validate } from 'graphql';
import {
  isInStock,
  type ProductRow,
  productByUpc,
  products,
  type ReviewRow,
  reviewsByAuthor,
  reviewsByProduct,
  shippingEstimateOf,
  type UserRow,
  userById,
  users,
} from './rows.ts';

const schema = buildSchema(`
  type Query {
    user(id: ID!): User
    users: [User!]!
    product(upc: String!): Product
    topProducts(first: Int!): [Product!]!
  }
  type User { id: ID! name: String! username: String! birthYear: Int! reviews: [Review!]! }
  type Product {
    upc: String! name: String! price: Int! weight: Int! inStock: Boolean! shippingEstimate: Int! reviews: [Review!]!
  }
  type Review { id: ID! body: String! rating: Int! author: User! product: Product! }
`);

const userOf = (row: UserRow) => ({ ...row, reviews: () => (reviewsByAuthor.get(row.id) ?? []).map(reviewOf) });

const productOf = (row: ProductRow) => ({
  ...row,
  inStock: isInStock(row.upc),
  shippingEstimate: shippingEstimateOf(row),
  reviews: () => (reviewsByProduct.get(row.upc) ?? []).map(reviewOf),
});

function reviewOf(row: ReviewRow): object {
  return {
    ...row,
    author: () => userOf(userById.get(row.authorId)!),
    product: () => productOf(productByUpc.get(row.upc)!),
  };
}

const found = <Row, Made>(row: Row | undefined, make: (row: Row) => Made): Made | null =>
  row === undefined ? null : make(row);

const root = {
  user: ({ id }: { id: string }) => found(userById.get(id), userOf),
  users: () => users.map(userOf),
  product: ({ upc }: { upc: string }) => found(productByUpc.get(upc), productOf),
  topProducts: ({ first }: { first: number }) => products.slice(0, Math.max(0, first)).map(productOf),
};

/**
 * What the foreign graph answers, as the text of a body: graphql-js over one schema that nobody has cut up. It shares
 * the rows with the subgraphs and nothing else.
 * @throws {Error} when the operation is not valid or fails.
 */
export function answerByReference(query: string, variables: Readonly<Record<string, unknown>>): string {
  const document = parse(query);
  const [invalid] = validate(schema, document);
  if (invalid) throw new Error(invalid.message);
  const { data, errors } = executeSync({ schema, document, rootValue: root, variableValues: { ...variables } });
  if (errors) throw new Error(errors.map((error) => error.message).join('; '));
  return JSON.stringify({ data });
}
