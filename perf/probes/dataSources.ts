// CPU of one operation through the gateway's executor, per data source:
//   node perf/probes/dataSources.ts [operations]
import { createHash } from 'node:crypto';
import { ApolloServer, HeaderMap } from '@apollo/server';
import { composeServices } from '@apollo/composition';
import { ApolloGateway, type GraphQLDataSource, LocalGraphQLDataSource } from '@apollo/gateway';
import { executeQueryPlan } from '@apollo/gateway/dist/executeQueryPlan.js';
import { buildOperationContext } from '@apollo/gateway/dist/operationContext.js';
import { operationFromDocument, Supergraph } from '@apollo/query-planner/node_modules/@apollo/federation-internals/dist/index.js';
