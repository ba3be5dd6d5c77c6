import { parse } from 'graphql';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { defineSubgraph, type ModuleRuntime, type OpenSubgraph } from '#shared/subgraph.ts';
import { productsSdl } from './sdl.ts';

const user = {
  email: 'support@apollographql.com',
  name: 'Jane Smith',
  totalProductsCreated: 1_337,
  yearsOfEmployment: 10,
};
const dimensions = { size: 'small', weight: 1, unit: 'kg' };
const deprecatedProduct = {
  sku: 'apollo-federation-v1',
  package: '@apollo/federation-v1',
  reason: 'Migrate to Federation V2',
  createdBy: user,
};
const research = [
  { study: { caseNumber: '1234', description: 'Federation Study' }, outcome: null },
  { study: { caseNumber: '1235', description: 'Studio Study' }, outcome: null },
];
const products = [
  {
    id: 'apollo-federation',
    sku: 'federation',
    package: '@apollo/federation',
    variation: { id: 'OSS' },
    dimensions,
    createdBy: user,
    research: [research[0]],
  },
  {
    id: 'apollo-studio',
    sku: 'studio',
    package: '',
    variation: { id: 'platform' },
    dimensions,
    createdBy: user,
    research: [research[1]],
  },
];

interface ProductKey {
  readonly id?: string;
  readonly sku?: string;
  readonly package?: string;
  readonly variation?: { readonly id: string };
}

/** The product that a representation by any of the three keys means. */
function findProduct(key: ProductKey) {
  const found = products.find((product) => {
    if (key.id !== undefined) return product.id === key.id;
    return (
      product.sku === key.sku &&
      (key.package !== undefined ? product.package === key.package : product.variation.id === key.variation?.id)
    );
  });
  return found ?? null;
}

const isDeprecated = (key: ProductKey) =>
  key.sku === deprecatedProduct.sku && key.package === deprecatedProduct.package;

const resolvers = {
  Query: {
    product: (_parent: unknown, { id }: { id: string }) => findProduct({ id }),
    deprecatedProduct: (_parent: unknown, key: ProductKey) => (isDeprecated(key) ? deprecatedProduct : null),
  },
  Product: { __resolveReference: findProduct },
  DeprecatedProduct: { __resolveReference: (key: ProductKey) => (isDeprecated(key) ? deprecatedProduct : null) },
  ProductResearch: {
    __resolveReference: ({ study }: { study: { caseNumber: string } }) =>
      research.find((one) => one.study.caseNumber === study.caseNumber) ?? null,
  },
  User: {
    __resolveReference: (reference: { email: string }) =>
      reference.email === user.email ? { ...user, ...reference } : null,
    averageProductsCreatedPerYear: (parent: typeof user) =>
      Math.round(parent.totalProductsCreated / parent.yearsOfEmployment),
  },
  Inventory: {
    __resolveReference: ({ id }: { id: string }) => (id === 'apollo-oss' ? { id } : null),
    deprecatedProducts: () => [deprecatedProduct],
  },
};

/** The suite's products subgraph, made by our factory. */
export async function openProducts(): Promise<OpenSubgraph> {
  const subgraph = defineSubgraph({
    name: 'platform',
    typeDefs: parse(productsSdl()),
    resolvers,
    createService: () => ({}),
    createLoaders: () => ({}),
  });
  // All that the factory itself takes of a process.
  return await subgraph.open({ authorizer: createScopeAuthorizer() } as unknown as ModuleRuntime);
}
