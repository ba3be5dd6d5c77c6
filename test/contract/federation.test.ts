import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { composeServices } from '@apollo/composition';
import { ApolloGateway } from '@apollo/gateway';
import { parse } from 'graphql';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createPrincipal } from '#shared/principal.ts';
import { createLogger, createMetrics } from '#shared/telemetry.ts';
import { createApollo } from '../../gateway/apollo.ts';
import { createPersistedDocuments } from '../../gateway/documents/persistedDocuments.ts';
import { createHttpDataSource } from '../../gateway/execution/http.ts';
import { createGatewayContext, executeOperation, type OperationRequest } from '../../gateway/graph.ts';
import { launchProcess } from '../support/platform.ts';
import { productsSdl, suiteDir, suiteText } from './federation/sdl.ts';

/**
 * What a subgraph of ours does not offer, and why. Apollo's federated tracing puts protobuf traces of each fetch into
 * `extensions.ftv1` for its own service; ours are W3C trace contexts. The suite does not require it.
 */
const notOffered: Readonly<Record<string, string>> = { ftv1: 'traces are W3C traceparent, not Apollo usage reports' };

interface Assertion {
  readonly ancestorTitles: readonly string[];
  readonly fullName: string;
  readonly status: 'passed' | 'failed' | 'pending';
  readonly failureMessages: readonly string[];
}

const principal = createPrincipal({ tenantId: 'suite', subject: 'suite', scopes: ['products:read'] });
const logger = createLogger('silent');

describe('@apollo/federation-subgraph-compatibility-tests against the subgraph factory', () => {
  const closers: (() => Promise<unknown> | unknown)[] = [];
  let assertions: readonly Assertion[];
  let output = '';

  beforeAll(async () => {
    const script = fileURLToPath(new URL('federation/productsServer.ts', import.meta.url));
    const products = launchProcess(script, {}, /products (\S+)/, (text) => {
      output += text;
    });
    closers.push(() => end(products.child));
    const urls = {
      products: await products.ready,
      users: await startSuiteSubgraph('users'),
      inventory: await startSuiteSubgraph('inventory'),
    };
    const sdl = {
      products: productsSdl(),
      users: suiteText('dist/subgraphs/users/users.graphql'),
      inventory: suiteText('dist/subgraphs/inventory/inventory.graphql'),
    };
    const names = ['products', 'users', 'inventory'] as const;
    const composed = composeServices(names.map((name) => ({ name, url: urls[name], typeDefs: parse(sdl[name]) })));
    expect(composed.errors ?? []).toEqual([]);
    const routerUrl = await startRouter(composed.supergraphSdl!, urls);
    const { stdout, stderr } = await runSuite({ PRODUCTS_URL: urls.products, ROUTER_URL: routerUrl });
    output += stderr;
    assertions = (JSON.parse(stdout) as { testResults: { assertionResults: Assertion[] }[] }).testResults.flatMap(
      (file) => file.assertionResults,
    );
  });
  afterAll(async () => {
    for (const close of closers.reverse()) await close();
  });

  /** Starts one of the two subgraphs that come with the suite. */
  async function startSuiteSubgraph(name: 'users' | 'inventory'): Promise<string> {
    const port = await freePort();
    const child = spawn(process.execPath, ['index.js'], {
      cwd: join(suiteDir, 'dist/subgraphs', name),
      env: { PATH: process.env['PATH'], [`${name.toUpperCase()}_PORT`]: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    closers.push(() => end(child));
    const url = `http://localhost:${port}/`;
    await vi.waitFor(
      async () => expect(await ask(url, { query: '{ __typename }' })).toEqual({ data: { __typename: 'Query' } }),
      { timeout: 20_000, interval: 100 },
    );
    return url;
  }

  /** Our gateway in the router's place: its Apollo Server and its pooled HTTP data sources. */
  async function startRouter(supergraphSdl: string, urls: Readonly<Record<string, string>>): Promise<string> {
    const gateway = new ApolloGateway({
      supergraphSdl,
      logger,
      buildService: ({ name }) => {
        const source = createHttpDataSource({ name, url: urls[name]!, timeoutMs: 5_000, headersFor: () => ({}) });
        closers.push(() => source.close());
        return source;
      },
    });
    const apollo = createApollo({
      gateway,
      logger,
      metrics: createMetrics('suite'),
      introspection: true,
      maxTokens: 1_000,
      persisted: createPersistedDocuments(null),
      isAdmitted: () => true,
      validationRules: [],
      onValidated: () => {},
    });
    await apollo.start();
    closers.push(() => apollo.stop());
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const result = await executeOperation(
        apollo,
        JSON.parse(Buffer.concat(chunks).toString('utf8')) as OperationRequest,
        createGatewayContext(principal),
      );
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result));
    });
    await listen(server);
    closers.push(() => server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  /** Runs the suite's own compiled assertions in the test runner they are written for. */
  async function runSuite(env: Readonly<Record<string, string>>): Promise<{ stdout: string; stderr: string }> {
    const fetchModule = fileURLToPath(new URL('./federation/fetch.cjs', import.meta.url));
    const config = {
      rootDir: suiteDir,
      testEnvironment: 'node',
      haste: { retainAllFiles: true },
      testPathIgnorePatterns: [],
      testMatch: ['**/dist/tests/*.test.js'],
      transform: {},
      moduleNameMapper: { '^make-fetch-happen$': fetchModule },
    };
    const jest = createRequire(join(suiteDir, 'package.json')).resolve('jest/bin/jest');
    const child = spawn(process.execPath, [jest, '--ci', '--json', '--runInBand', '--config', JSON.stringify(config)], {
      cwd: suiteDir,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [stdout, stderr] = [child.stdout, child.stderr].map((stream) =>
      Array.fromAsync(stream as AsyncIterable<Buffer>).then((all) => Buffer.concat(all).toString('utf8')),
    );
    return { stdout: await stdout!, stderr: await stderr! };
  }

  it('runs all assertions of the suite', () => {
    expect(assertions.length, output).toBeGreaterThanOrEqual(22);
    expect(assertions.filter((one) => one.status === 'pending')).toEqual([]);
  });

  const { TESTS: features } = createRequire(import.meta.url)(join(suiteDir, 'dist/testRunner.js')) as {
    TESTS: { assertion: string; required: boolean }[];
  };

  it.each(
    features
      .filter(({ assertion }) => !(assertion in notOffered))
      .map(({ assertion, required }) => [assertion, required ? 'required' : 'optional']),
  )('%s (%s)', (feature) => {
    const own = assertions.filter((one) => (one.ancestorTitles[0] ?? one.fullName) === feature);
    expect(own.length).toBeGreaterThan(0);
    expect(own.flatMap((one) => one.failureMessages)).toEqual([]);
  });

  it('offers everything but what is named here, and nothing required is missing', () => {
    const failed = features.filter(({ assertion }) =>
      assertions.some((one) => (one.ancestorTitles[0] ?? one.fullName) === assertion && one.status === 'failed'),
    );
    expect(failed.map(({ assertion }) => assertion)).toEqual(Object.keys(notOffered));
    expect(failed.filter(({ required }) => required)).toEqual([]);
    for (const [name, reason] of Object.entries(notOffered))
      console.log(`federation suite: ${name} is not offered: ${reason}`);
  });
});

async function ask(url: string, body: OperationRequest): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return await response.json();
}

async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server);
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await exited;
  clearTimeout(timer);
}
