import { createRequire, Module } from 'node:module';

/**
 * Loading modules is half of a start. What stands here our dependencies load at once and need seldom or never; each is
 * loaded when it is first used.
 */
interface LazyPackage {
  readonly name: string;
  /** Compiled from an ES module: its importers read `default` from it, not the whole of it. */
  readonly esModule?: true;
}

const lazyPackages: Readonly<Record<string, readonly LazyPackage[]>> = {
  '@apollo/gateway': [
    // Composition and fetches of its own: the supergraph is composed before, and our own sources fetch.
    { name: '@apollo/composition', esModule: true },
    { name: 'make-fetch-happen' },
    { name: 'node-fetch' },
    // What it reports to its vendor with, if it is let.
    { name: '@opentelemetry/sdk-metrics', esModule: true },
    { name: '@opentelemetry/exporter-metrics-otlp-http', esModule: true },
    { name: '@opentelemetry/resources', esModule: true },
    { name: '@opentelemetry/resource-detector-alibaba-cloud', esModule: true },
    { name: '@opentelemetry/resource-detector-aws', esModule: true },
    { name: '@opentelemetry/resource-detector-azure', esModule: true },
    { name: '@opentelemetry/resource-detector-gcp', esModule: true },
  ],
  '@apollo/query-planner': [{ name: 'pretty-format', esModule: true }],
  '@apollo/query-graphs': [{ name: 'deep-equal' }, { name: 'ts-graphviz', esModule: true }],
  '@apollo/subgraph': [{ name: '@graphql-tools/utils', esModule: true }],
};

/** Stands in the cache of modules for one that is loaded when something of it is asked for. */
function defer(require: NodeJS.Require, { name, esModule }: LazyPackage): void {
  const file = require.resolve(name);
  // Whoever has loaded it keeps it.
  if (require.cache[file]) return;
  let loaded: object | undefined;
  const load = (): object => {
    if (loaded === undefined) {
      delete require.cache[file];
      loaded = require(file) as object;
    }
    return loaded;
  };
  const deferred = new Module(file);
  deferred.loaded = true;
  deferred.exports = new Proxy(function deferredModule() {}, {
    get: (_, key) => (key === '__esModule' ? esModule : Reflect.get(load(), key)),
    has: (_, key) => Reflect.has(load(), key),
    // An ES module that imports from it asks which names it has of its own before it takes them.
    getOwnPropertyDescriptor: (target, key) =>
      Reflect.getOwnPropertyDescriptor(target, key)?.configurable === false
        ? Reflect.getOwnPropertyDescriptor(target, key)
        : describe(load(), key),
    apply: (_, self, args) => Reflect.apply(load() as () => unknown, self, args),
    construct: (_, args) => Reflect.construct(load() as new () => object, args),
  });
  require.cache[file] = deferred;
}

/** As of a property that may go: a proxy may not claim more of what its target has not. */
function describe(exports: object, key: PropertyKey): PropertyDescriptor | undefined {
  const found = Reflect.getOwnPropertyDescriptor(exports, key);
  return found && { ...found, configurable: true };
}

// @apollo/gateway would start an exporter of its own otherwise.
process.env['APOLLO_TELEMETRY_DISABLED'] = 'true';
const requireHere = createRequire(import.meta.url);
const requireOfGateway = createRequire(requireHere.resolve('@apollo/gateway'));
for (const [owner, packages] of Object.entries(lazyPackages)) {
  const requireOwner = createRequire(requireOfGateway.resolve(owner));
  for (const each of packages) defer(requireOwner, each);
}
