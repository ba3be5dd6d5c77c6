/** Operations whose bodies may be larger than the usual limit. */
export const bulkFields: ReadonlySet<string> = new Set([
  'importProtocolObject',
  'importProtocolBundle',
  'createContexts',
  'createNetwork',
  'importNetwork',
  'optimizeRoutes',
  'registerExtension',
  'publishVersion',
]);
